# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
# A user C module of MicroPython without Python names, for the unix port: Mbed TLS with MicroPython's own configuration, as boards
# have it, since Debian's MicroPython links the system's. The module _dice gets the random numbers of an ESP32: esp_random.h.
FIRMWARE_MBEDTLS := $(USERMOD_DIR)
SRC_USERMOD_LIB_C += $(USERMOD_DIR)/random.c $(USERMOD_DIR)/each_allocation.c
SRC_THIRDPARTY_C += $(addprefix lib/mbedtls/library/,aes.c bignum.c bignum_core.c constant_time.c ecp.c ecp_curves.c md5.c \
	platform.c platform_util.c sha1.c sha256.c)
CFLAGS_USERMOD += -I$(TOP)/lib/mbedtls/include '-DMBEDTLS_CONFIG_FILE="ports/unix/mbedtls/mbedtls_config_port.h"'
CFLAGS_USERMOD += -DMICROPY_SSL_MBEDTLS=1 -DMICROPY_PY_CRYPTOLIB=1 -DMICROPY_PY_CRYPTOLIB_CTR=1
$(BUILD)/usermod/p256.o: CFLAGS += -DESP_PLATFORM -I$(FIRMWARE_MBEDTLS)
# DICE_CHECKED: options for the objects whose accesses are checked; MicroPython's own compiler reads behind an array.
$(BUILD)/usermod/%.o $(BUILD)/lib/mbedtls/%.o: CFLAGS += $(DICE_CHECKED)
