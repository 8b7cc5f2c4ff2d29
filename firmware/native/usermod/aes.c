// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// core/ccm.c over the AES of the firmware's Mbed TLS, which is the accelerator on an ESP32.

#include "mbedtls/platform_util.h"

#define DICE_AES_MBEDTLS
#include "../core/ccm.c"

void dice_wipe(void *memory, size_t size) {
    mbedtls_platform_zeroize(memory, size);
}
