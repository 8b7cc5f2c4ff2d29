# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
set(DICE_FLASH 4MiB)
include(${CMAKE_CURRENT_LIST_DIR}/../ota.cmake)
