// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// P-256: with DICE_P256_MBEDTLS by the firmware's Mbed TLS, as on an ESP32, else by p256-m, which is in Mbed TLS's source, with
// DICE_FAST in part by BearSSL. On a processor without an accelerator these are faster, smaller, and constant time.

#pragma GCC diagnostic ignored "-Wunused-function"

#ifdef DICE_P256_MBEDTLS
#include "p256_mbedtls.c"
#else
#include "../core/stand_ins/psa/crypto.h" // instead of Mbed TLS's, by its own include guard
#include "../core/p256.c"
#ifdef DICE_FAST
#include "codec/ccopy.c"
#endif
#endif
