# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# BOARD_VARIANT=TLS: with MicroPython's own tls (mbedTLS, DTLS too), which boards without a network leave out; to compare with.
list(APPEND MICROPY_DEF_BOARD MICROPY_PY_SSL=1)
