# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# A user C module of MicroPython without Python names: what cryptolib and hashlib need of Mbed TLS, without its TLS.
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/mbedtls_parts.c
CFLAGS_USERMOD += -I$(USERMOD_DIR) -I$(TOP)/lib/mbedtls/include '-DMBEDTLS_CONFIG_FILE="mbedtls_parts.h"'
CFLAGS_USERMOD += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1 -DMICROPY_PY_CRYPTOLIB_CTR=1
