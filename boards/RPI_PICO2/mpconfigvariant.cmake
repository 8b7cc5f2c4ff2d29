# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# Chooses the ARM cores.
include(${UPSTREAM_BOARD_DIR}/mpconfigvariant.cmake)
