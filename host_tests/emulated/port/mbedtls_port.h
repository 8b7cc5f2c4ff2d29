// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// The parts of Mbed TLS that cryptolib and hashlib call.

#define MBEDTLS_AES_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_SHA256_C
