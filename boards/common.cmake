# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# The changes of dice to MicroPython's definition of a board: the manifest, the place of the pins' names, and on ESP32 the CTR mode
# of cryptolib, which an AES accelerator runs in one job (lib/dice/crypto/ccm_ctr.py).
set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)

if(DEFINED IDF_TARGET)
    list(APPEND MICROPY_DEF_BOARD MICROPY_PY_CRYPTOLIB_CTR=1)
endif()

if(EXISTS ${UPSTREAM_BOARD_DIR}/pins.csv)
    set(MICROPY_BOARD_PINS ${UPSTREAM_BOARD_DIR}/pins.csv)
    # MicroPython 1.24 and 1.25 look only in the board's folder, and do not overwrite these two if it has no pins.csv.
    set(GEN_PINS_BOARD_CSV ${MICROPY_BOARD_PINS})
    set(GEN_PINS_CSV_ARG --board-csv "${MICROPY_BOARD_PINS}")
endif()
