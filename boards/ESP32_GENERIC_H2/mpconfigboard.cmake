# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# MicroPython's own definition of this board, with what boards/common.cmake changes. The source folder is the port's.
set(UPSTREAM_BOARD_DIR ${CMAKE_CURRENT_SOURCE_DIR}/boards/ESP32_GENERIC_H2)
include(${UPSTREAM_BOARD_DIR}/mpconfigboard.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/../common.cmake)
