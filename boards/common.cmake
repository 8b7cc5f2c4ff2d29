# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# What dice changes in MicroPython's definition of a board: the manifest, and where the names of the pins are found.
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

if(EXISTS ${UPSTREAM_BOARD_DIR}/pins.csv)
    set(MICROPY_BOARD_PINS ${UPSTREAM_BOARD_DIR}/pins.csv)
    # MicroPython 1.24 and 1.25 look into the board's folder only, and keep these two where it has no pins.csv.
    set(GEN_PINS_BOARD_CSV ${MICROPY_BOARD_PINS})
    set(GEN_PINS_CSV_ARG --board-csv "${MICROPY_BOARD_PINS}")
endif()
