// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// The files of Mbed TLS that cryptolib and hashlib call, as one unit.
#include "lib/mbedtls/library/aes.c"
#include "lib/mbedtls/library/constant_time.c"
#include "lib/mbedtls/library/md5.c"
#include "lib/mbedtls/library/platform_util.c"
#include "lib/mbedtls/library/sha1.c"
#include "lib/mbedtls/library/sha256.c"
