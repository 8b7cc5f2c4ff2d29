// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// AES-128-CCM (RFC 3610) in one pass. The blocks are encrypted by Mbed TLS's AES, whose tables a cache may leak, with DICE_AES_TABLES,
// or by all that the Mbed TLS of a firmware has, an accelerator or tables, with DICE_AES_MBEDTLS;
// else by BearSSL's aes_ct, which has none.

#include <string.h>

#include "dice.h"

#ifdef DICE_AES_MBEDTLS

#include "mbedtls/aes.h"

typedef mbedtls_aes_context schedule;

// Does not return: an accelerator may fail, and what it leaves is not encrypted.
__attribute__((noreturn)) void dice_aes_failed(void);

static void expand(schedule *keys, const uint8_t *key) {
    mbedtls_aes_init(keys);
    if (mbedtls_aes_setkey_enc(keys, key, 8 * DICE_KEY)) {
        dice_aes_failed();
    }
}

// Encrypts two blocks, or the first alone.
static void encrypt(schedule *keys, uint8_t *block, uint8_t *other) {
    if (mbedtls_aes_crypt_ecb(keys, MBEDTLS_AES_ENCRYPT, block, block) ||
        (other && mbedtls_aes_crypt_ecb(keys, MBEDTLS_AES_ENCRYPT, other, other))) {
        dice_aes_failed();
    }
}

#elif defined(DICE_AES_TABLES)

#include "mbedtls/aes.h"

typedef mbedtls_aes_context schedule;

static void expand(schedule *keys, const uint8_t *key) {
    mbedtls_aes_init(keys);
    mbedtls_aes_setkey_enc(keys, key, 8 * DICE_KEY);
}

// Encrypts two blocks, or the first alone.
static void encrypt(schedule *keys, uint8_t *block, uint8_t *other) {
    mbedtls_internal_aes_encrypt(keys, block, block);
    if (other) {
        mbedtls_internal_aes_encrypt(keys, other, other);
    }
}

#else

#include "inner.h"

typedef struct {
    uint32_t words[120];
} schedule;

static void expand(schedule *keys, const uint8_t *key) {
    uint32_t packed[60];
    br_aes_ct_keysched(packed, key, DICE_KEY);
    br_aes_ct_skey_expand(keys->words, 10, packed);
    dice_wipe(packed, sizeof packed);
}

// Encrypts two blocks, or the first alone, in the same time.
static void encrypt(schedule *keys, uint8_t *block, uint8_t *other) {
    uint32_t q[8];
    other = other ? other : block;
    for (int i = 0; i < 4; i++) {
        q[2 * i] = br_dec32le(block + 4 * i);
        q[2 * i + 1] = br_dec32le(other + 4 * i);
    }
    br_aes_ct_ortho(q);
    br_aes_ct_bitslice_encrypt(10, keys->words, q);
    br_aes_ct_ortho(q);
    for (int i = 0; i < 4; i++) {
        br_enc32le(block + 4 * i, q[2 * i]);
        br_enc32le(other + 4 * i, q[2 * i + 1]);
    }
}

#endif

typedef union {
    uint32_t words[4]; // for the alignment
    uint8_t bytes[16];
} block;

typedef struct {
    schedule keys;
    block counter; // A_i
    block stream;  // S_i
    block mac;
    block mask; // S_0
    bool due;   // the MAC was changed since it was encrypted
} state;

// Makes the next block of the stream, and encrypts the MAC if that is due.
static void next(state *s) {
    s->stream = s->counter;
    encrypt(&s->keys, s->stream.bytes, s->due ? s->mac.bytes : NULL);
    s->due = false;
    if (++s->counter.bytes[15] == 0) {
        s->counter.bytes[14]++;
    }
}

static void end_of_block(state *s) {
    if (s->due) {
        encrypt(&s->keys, s->mac.bytes, NULL);
    }
    s->due = true;
}

static void begin(state *s, const dice_ccm *ccm, size_t length) {
    expand(&s->keys, ccm->key);
    memset(&s->counter, 0, sizeof s->counter);
    s->counter.bytes[0] = 2; // the length has 3 bytes, the first of which is 0 here
    memcpy(s->counter.bytes + 1, ccm->salt, DICE_SALT);
    memcpy(s->counter.bytes + 1 + DICE_SALT, ccm->number, DICE_NUMBER);
    s->mac = s->counter;
    s->mac.bytes[0] = (ccm->aad_bytes ? 0x40 : 0) + 8 * (ccm->tag_bytes / 2 - 1) + 2;
    s->mac.bytes[14] = length >> 8;
    s->mac.bytes[15] = length;
    s->due = true;
    next(s);
    s->mask = s->stream;
    if (ccm->aad_bytes) {
        s->mac.bytes[0] ^= ccm->aad_bytes >> 8;
        s->mac.bytes[1] ^= ccm->aad_bytes;
        s->due = true;
        size_t at = 2;
        for (size_t i = 0; i < ccm->aad_bytes; i++) {
            if (at == 16) {
                end_of_block(s);
                at = 0;
            }
            s->mac.bytes[at++] ^= ccm->aad[i];
        }
    }
}

static void crypt(state *s, uint8_t *out, const uint8_t *in, size_t length, bool opening) {
    while (length) {
        size_t count = length < 16 ? length : 16;
        next(s);
        for (size_t i = 0; i < count; i++) {
            uint8_t byte = in[i], other = byte ^ s->stream.bytes[i];
            out[i] = other;
            s->mac.bytes[i] ^= opening ? other : byte;
        }
        s->due = true;
        out += count;
        in += count;
        length -= count;
    }
    end_of_block(s);
    for (int i = 0; i < 16; i++) {
        s->mac.bytes[i] ^= s->mask.bytes[i];
    }
}

void dice_ccm_seal(const dice_ccm *ccm, uint8_t *out, const uint8_t *plaintext, size_t length) {
    state s;
    begin(&s, ccm, length);
    if (length) { // the address of nothing may be NULL
        memmove(out, plaintext, length); // they may overlap
    }
    crypt(&s, out, out, length, false);
    memcpy(out + length, s.mac.bytes, ccm->tag_bytes);
    dice_wipe(&s, sizeof s);
}

bool dice_ccm_open(const dice_ccm *ccm, uint8_t *out, const uint8_t *ciphertext, size_t length) {
    state s;
    uint8_t difference = 0;
    begin(&s, ccm, length);
    crypt(&s, out, ciphertext, length, true);
    for (size_t i = 0; i < ccm->tag_bytes; i++) {
        difference |= s.mac.bytes[i] ^ ciphertext[length + i];
    }
    dice_wipe(&s, sizeof s);
    DICE_PUBLISH(difference);
    if (difference) {
        dice_wipe(out, length);
    }
    return !difference;
}
