# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# BOARD_VARIANT=FLASH_4M: for modules with 4 MB of flash.
include(${UPSTREAM_BOARD_DIR}/mpconfigvariant_FLASH_4M.cmake)
