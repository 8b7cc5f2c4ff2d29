// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// What dice has in native code. It knows nothing of MicroPython, keeps no state, allocates nothing, and is constant time in its
// secrets: private keys, nonces of signatures, symmetric keys and plaintexts (with DICE_AES_TABLES, except for a cache; see ccm.c).
//
// All integers are big-endian. A point is 04 | X | Y, in dice_p256_* always checked to be one of P-256. Functions return 0 if all is
// well, unless they say something else, and write their output only then.

#ifndef DICE_H
#define DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DICE_VERSION 2 // of the functions of the Python module _dice: lib/dice/crypto must expect the same

enum { DICE_KEY = 16, DICE_SALT = 4, DICE_NUMBER = 8, DICE_AAD_MAX = 65279, DICE_TEXT_MAX = 65535 };
#define DICE_ANOTHER_NONCE 1

// P-256 (FIPS 186-5): a private key and a nonce have 32 bytes and are in [1, n - 1].
int dice_p256_public(uint8_t point[65], const uint8_t private_key[32]);
int dice_p256_ecdh(uint8_t shared[32], const uint8_t private_key[32], const uint8_t point[65]);
// Of a digest: signatures are r | s. The nonce must be secret, and never the same for two digests. Returns
// DICE_ANOTHER_NONCE if it gives r or s of 0.
int dice_p256_sign(uint8_t signature[64], const uint8_t private_key[32], const uint8_t digest[32], const uint8_t nonce[32]);
int dice_p256_verify(const uint8_t point[65], const uint8_t digest[32], const uint8_t signature[64]);

// AES-128-CCM (RFC 3610) with nonces of 12 bytes, salt | number.
typedef struct {
    const uint8_t *key;    // DICE_KEY bytes
    const uint8_t *salt;   // DICE_SALT bytes
    const uint8_t *number; // DICE_NUMBER bytes
    const uint8_t *aad;    // additional data
    size_t aad_bytes;      // at most DICE_AAD_MAX
    size_t tag_bytes;      // 4, 6, ... 16
} dice_ccm;

// All of *ccm is read before `out` is written. `out` and `in` may be the same, or overlap in any way if sealing.
// Writes `length` bytes and the tag to `out`; `length` is at most DICE_TEXT_MAX.
void dice_ccm_seal(const dice_ccm *ccm, uint8_t *out, const uint8_t *plaintext, size_t length);
// Writes `length` bytes to `out`, and zeros if the tag behind `length` bytes of ciphertext does not verify; returns whether it does.
bool dice_ccm_open(const dice_ccm *ccm, uint8_t *out, const uint8_t *ciphertext, size_t length);

// Says that what was computed of secrets is public, to a build that checks for branches and addresses that depend on secrets:
// host_tests/unix_port/test_constant_time.py runs it in valgrind, which takes secrets for undefined.
#ifdef DICE_CHECK_SECRETS
#include <valgrind/memcheck.h>
#define DICE_PUBLISH(variable) ((void)VALGRIND_MAKE_MEM_DEFINED(&(variable), sizeof(variable)))
#else
#define DICE_PUBLISH(variable) ((void)0)
#endif

// Overwrites secrets; not optimized away.
void dice_wipe(void *memory, size_t size);

#endif
