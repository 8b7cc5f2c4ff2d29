// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// Multiplication of points for p256.c with the field and the formulas of BearSSL's ec_p256_m15, which is included for them. Of the
// base point a comb of 4 teeth takes 64 doublings instead of 256. Verification, whose inputs are public, doubles once for both
// products.
//
// The formulas for addition are wrong for a point and itself, and for the point at infinity. The sum then is the point at infinity,
// and remains that whatever is added to it (see p256_add()). So a result that is not the point at infinity is right, and otherwise
// the caller computes it again without a shortcut. That never happens by chance.

#include "ec/ec_p256_m15.c"

#include "comb.h" // by tools/dicectl/firmware/comb.py: comb[i] is the sum of 2**(64 t) * G for all bits t of i + 1

static uint32_t bit_of(const uint8_t scalar[32], int i) {
    return scalar[31 - i / 8] >> (i % 8) & 1;
}

// A column of the comb.
static uint32_t column(const uint8_t scalar[32], int i) {
    return bit_of(scalar, i) | bit_of(scalar, i + 64) << 1 | bit_of(scalar, i + 128) << 2 | bit_of(scalar, i + 192) << 3;
}

// Reads the whole table, whatever the index. 0 gives no point of the curve.
static void look_up(p256_jacobian *point, uint32_t index) {
    uint32_t words[20];
    memset(words, 0, sizeof words);
    for (uint32_t i = 0; i < 15; i++) {
        uint32_t mask = -EQ(index, i + 1);
        for (int j = 0; j < 20; j++) {
            words[j] |= mask & comb[i][j];
        }
    }
    for (int i = 0; i < 10; i++) {
        point->x[2 * i] = words[i] & 0xFFFF;
        point->x[2 * i + 1] = words[i] >> 16;
        point->y[2 * i] = words[i + 10] & 0xFFFF;
        point->y[2 * i + 1] = words[i + 10] >> 16;
    }
    memset(point->z, 0, sizeof point->z);
    point->z[0] = 1;
}

// Out: the coordinates, if it is not the point at infinity. Returns whether it is.
static bool encode(uint8_t out[64], p256_jacobian *point) {
    uint8_t encoded[65];
    uint32_t z = 0;
    p256_to_affine(point); // z becomes 1, or stays 0
    for (int i = 0; i < 20; i++) {
        z |= point->z[i];
    }
    DICE_PUBLISH(z);
    if (z) {
        p256_encode(encoded, point);
        memcpy(out, encoded + 1, 64);
    }
    dice_wipe(encoded, sizeof encoded);
    return !z;
}

static void decode(p256_jacobian *out, const uint8_t point[64]) {
    uint8_t encoded[65];
    encoded[0] = 4;
    memcpy(encoded + 1, point, 64);
    p256_decode(out, encoded, sizeof encoded);
}

// In: a scalar of 32 bytes in [1, n - 1], a checked point (64 bytes). Out: the product (64 bytes).
static void multiply(uint8_t product[64], const uint8_t scalar[32], const uint8_t point[64]) {
    p256_jacobian p;
    decode(&p, point);
    p256_mul(&p, scalar, 32);
    encode(product, &p);
    dice_wipe(&p, sizeof p);
}

static void multiply_base(uint8_t product[64], const uint8_t scalar[32]) {
    p256_jacobian sum, addend, next;
    uint32_t none = 1; // the sum is of no points yet
    memset(&sum, 0, sizeof sum);
    for (int i = 63; i >= 0; i--) {
        uint32_t index = column(scalar, i), some = NEQ(index, 0);
        p256_double(&sum);
        look_up(&addend, index);
        next = sum;
        p256_add_mixed(&next, &addend);
        CCOPY(some & none, &sum, &addend, sizeof sum);
        CCOPY(some & ~none, &sum, &next, sizeof sum);
        none &= ~some;
    }
    if (encode(product, &sum)) {
        multiply(product, scalar, P256_G + 1);
    }
    dice_wipe(&sum, sizeof sum);
    dice_wipe(&addend, sizeof addend);
    dice_wipe(&next, sizeof next);
}

// The same as add_products(), without a shortcut.
static bool add_products_slowly(uint8_t sum[64], const uint8_t u1[32], const uint8_t u2[32], const uint8_t point[64]) {
    p256_jacobian p, q;
    decode(&p, point);
    p256_mul(&p, u2, 32);
    decode(&q, P256_G + 1);
    p256_mul(&q, u1, 32);
    uint8_t of_point[64], of_base[64];
    if (encode(of_base, &q)) {
        return encode(sum, &p);
    }
    if (encode(of_point, &p)) {
        return encode(sum, &q);
    }
    uint8_t difference = 0;
    for (int i = 0; i < 64; i++) {
        difference |= of_point[i] ^ of_base[i];
    }
    if (difference) {
        p256_add(&p, &q);
    } else {
        p256_double(&p);
    }
    return encode(sum, &p);
}

// Out: u1 * G + u2 * point; returns whether that is the point at infinity. Not constant time: for public inputs.
static bool add_products(uint8_t sum[64], const uint8_t u1[32], const uint8_t u2[32], const uint8_t point[64]) {
    p256_jacobian odd[4], total; // the point times 1, 3, 5, 7
    uint8_t windows[256];        // of u2: up to three bits that end in 1, at the place of that bit
    bool none = true;
    memset(windows, 0, sizeof windows);
    for (int i = 255; i >= 0; i--) {
        if (bit_of(u2, i)) {
            int low = i < 2 ? 0 : i - 2, window = 0;
            while (!bit_of(u2, low)) {
                low++;
            }
            for (; i >= low; i--) {
                window = 2 * window + bit_of(u2, i);
            }
            i = low;
            windows[low] = window;
        }
    }
    decode(&odd[0], point);
    total = odd[0];
    p256_double(&total);
    for (int i = 1; i < 4; i++) {
        odd[i] = odd[i - 1];
        p256_add(&odd[i], &total);
    }
    memset(&total, 0, sizeof total);
    for (int i = 255; i >= 0; i--) {
        uint32_t index = i < 64 ? column(u1, i) : 0;
        p256_double(&total);
        if (windows[i]) {
            const p256_jacobian *addend = &odd[windows[i] / 2];
            if (none) {
                total = *addend;
            } else {
                p256_add(&total, addend);
            }
            none = false;
        }
        if (index) {
            p256_jacobian addend;
            look_up(&addend, index);
            if (none) {
                total = addend;
            } else {
                p256_add_mixed(&total, &addend);
            }
            none = false;
        }
    }
    return encode(sum, &total) && add_products_slowly(sum, u1, u2, point);
}
