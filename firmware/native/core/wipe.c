// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT

#include <string.h>

#include "dice.h"

void dice_wipe(void *memory, size_t size) {
    memset(memory, 0, size);
    __asm__ volatile("" : : "r"(memory) : "memory"); // reads it, for all that the compiler knows
}

// Mbed TLS calls it by this name.
void mbedtls_platform_zeroize(void *memory, size_t size) {
    dice_wipe(memory, size);
}
