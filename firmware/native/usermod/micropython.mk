# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# The module _dice in firmware that is built with make alone, as for the unix port: USER_C_MODULES=(the folder above this one).
# DICE_P256 is small (the default), fast or mbedtls; see micropython.cmake.
DICE_P256 ?= small
SRC_USERMOD_C += $(USERMOD_DIR)/module.c
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/aes.c $(USERMOD_DIR)/p256.c
CFLAGS_USERMOD += -I$(USERMOD_DIR)/../core -I$(TOP)/lib/mbedtls/3rdparty/p256-m/p256-m -I$(TOP)/lib/mbedtls/include
$(BUILD)/$(notdir $(USERMOD_DIR))/aes.o $(BUILD)/$(notdir $(USERMOD_DIR))/p256.o: CFLAGS += -O2 -fno-strict-aliasing
ifeq ($(DICE_P256),mbedtls)
CFLAGS_USERMOD += -DDICE_P256_MBEDTLS=1
else ifeq ($(DICE_P256),fast)
CFLAGS_USERMOD += -DDICE_FAST=1 -I$(DICE_COMB) -I$(DICE_BEARSSL)/inc -I$(DICE_BEARSSL)/src
else ifneq ($(DICE_P256),small)
$(error DICE_P256 is $(DICE_P256): it must be small, fast or mbedtls)
endif
