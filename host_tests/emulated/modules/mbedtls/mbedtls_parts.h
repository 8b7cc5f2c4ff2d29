// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// Mbed TLS's configuration for mbedtls_parts.c.
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_MD5_C
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_DEPRECATED_REMOVED
