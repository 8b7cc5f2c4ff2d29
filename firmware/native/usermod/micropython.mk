# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# The module _dice in firmware that is built with make alone, as for the unix port: USER_C_MODULES=(the folder above this one).
SRC_USERMOD_C += $(USERMOD_DIR)/module.c
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/aes.c $(USERMOD_DIR)/p256.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)/../core -I$(TOP)/lib/mbedtls/3rdparty/p256-m/p256-m -I$(TOP)/lib/mbedtls/include
