// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// Included behind all of firmware/native/core by test_constant_time.py: calls each function with secrets that valgrind takes for
// undefined, and reports if a branch or an address depends on one. Prints nothing; exits with 1 if a result is wrong.

#define SECRET(variable) ((void)VALGRIND_MAKE_MEM_UNDEFINED(variable, sizeof(variable)))
#define DEFINED(variable) ((void)VALGRIND_MAKE_MEM_DEFINED(variable, sizeof(variable)))

static uint32_t seed = 1;

static void fill(uint8_t *to, size_t size) {
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        to[i] = seed >> 24;
    }
    to[0] &= 0x7F; // below n, if it is a key
}

static int memory_differs(const uint8_t *left, const uint8_t *right, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (left[i] != right[i]) {
            return 1;
        }
    }
    return 0;
}

static int of_p256(void) {
    uint8_t private_key[32], other[32], nonce[32], digest[32], point[65], theirs[65], signature[64], shared[32], same[32];
    fill(private_key, sizeof private_key);
    fill(other, sizeof other);
    fill(nonce, sizeof nonce);
    fill(digest, sizeof digest);
    if (dice_p256_public(theirs, other)) {
        return 1;
    }
    SECRET(private_key);
    SECRET(nonce);
    if (dice_p256_public(point, private_key)) {
        return 1;
    }
    DEFINED(point);
    if (dice_p256_ecdh(shared, private_key, theirs) || dice_p256_sign(signature, private_key, digest, nonce)) {
        return 1;
    }
    DEFINED(signature);
    DEFINED(shared);
    if (dice_p256_verify(point, digest, signature) || dice_p256_ecdh(same, other, point)) {
        return 1;
    }
    return memory_differs(shared, same, sizeof same);
}

static int of_ccm(size_t length) {
    uint8_t key[DICE_KEY], salt[DICE_SALT], number[DICE_NUMBER], aad[13], text[100], sealed[116], opened[100];
    dice_ccm ccm = {key, salt, number, aad, sizeof aad, 16};
    fill(key, sizeof key);
    fill(salt, sizeof salt);
    fill(number, sizeof number);
    fill(aad, sizeof aad);
    fill(text, sizeof text);
    SECRET(key);
    SECRET(text);
    dice_ccm_seal(&ccm, sealed, text, length);
    DEFINED(sealed);
    if (!dice_ccm_open(&ccm, opened, sealed, length)) {
        return 1;
    }
    DEFINED(opened);
    DEFINED(text);
    if (memory_differs(text, opened, length)) {
        return 1;
    }
    sealed[length] ^= 1;
    return dice_ccm_open(&ccm, opened, sealed, length);
}

__attribute__((used, externally_visible)) int main(void) {
    int status = of_p256() | of_p256();
    for (size_t length = 0; length <= 100; length += 20) {
        status |= of_ccm(length);
    }
    return status;
}
