// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// P-256. The arithmetic is that of p256-m (of Mbed TLS), all of it by default. With DICE_FAST, points are multiplied by p256_fast.h,
// with BearSSL's ec_p256_m15. Both are constant time. Their sources are included, because what is used of them is not in their
// headers: with it, no function needs a source of random numbers, and no nonce lies in a global variable, where another thread could
// take it.

#include "dice.h"

#include "p256-m.c"

#ifdef DICE_FAST

#include "p256_fast.h"

#else

static void multiply_by(uint8_t product[64], const uint8_t scalar[32], const uint32_t px[8], const uint32_t py[8]) {
    uint32_t s[8], x[8], y[8];
    u256_from_bytes(s, scalar);
    scalar_mult(x, y, px, py, s);
    point_to_bytes(product, x, y);
    dice_wipe(s, sizeof s);
    dice_wipe(x, sizeof x);
}

static void multiply(uint8_t product[64], const uint8_t scalar[32], const uint8_t point[64]) {
    uint32_t px[8], py[8];
    point_from_bytes(px, py, point);
    multiply_by(product, scalar, px, py);
}

static void multiply_base(uint8_t product[64], const uint8_t scalar[32]) {
    multiply_by(product, scalar, p256_gx, p256_gy);
}

#endif

// The same as p256_validate_privkey(), without a branch before it is known.
static int check_scalar(const uint8_t scalar[32]) {
    uint32_t s[8], difference[8];
    u256_from_bytes(s, scalar);
    uint32_t below_n = u256_sub(difference, s, p256_n.m);
    u256_set32(difference, 1);
    uint32_t below_1 = u256_sub(difference, s, difference);
    int status = (int)(below_n & (below_1 ^ 1)) - 1;
    dice_wipe(s, sizeof s);
    dice_wipe(difference, sizeof difference);
    DICE_PUBLISH(status);
    return status;
}

static int check_point(const uint8_t point[65]) {
    uint32_t x[8], y[8];
    return point[0] != 4 || point_from_bytes(x, y, point + 1);
}

int dice_p256_public(uint8_t point[65], const uint8_t private_key[32]) {
    if (check_scalar(private_key)) {
        return -1;
    }
    point[0] = 4;
    multiply_base(point + 1, private_key);
    return 0;
}

int dice_p256_ecdh(uint8_t shared[32], const uint8_t private_key[32], const uint8_t point[65]) {
    uint8_t product[64];
    if (check_scalar(private_key) || check_point(point)) {
        return -1;
    }
    multiply(product, private_key, point + 1);
    memcpy(shared, product, 32);
    dice_wipe(product, sizeof product);
    return 0;
}

// Out: the integer of 32 bytes modulo n, for m256_mul().
static void number(uint32_t out[8], const uint8_t bytes[32]) {
    u256_from_bytes(out, bytes);
    ecdsa_m256_mod_n(out);
    m256_prep(out, &p256_n);
}

int dice_p256_sign(uint8_t signature[64], const uint8_t private_key[32], const uint8_t digest[32], const uint8_t nonce[32]) {
    // SEC 1, section 4.1.3: r = (nonce * G).x mod n, s = (digest + r * private key) / nonce mod n
    uint32_t r[8], s[8], k[8], e[8];
    uint8_t product[64];
    if (check_scalar(private_key) || check_scalar(nonce)) {
        return -1;
    }
    multiply_base(product, nonce);
    DICE_PUBLISH(product);
    u256_from_bytes(r, product);
    ecdsa_m256_mod_n(r);
    if (u256_diff0(r) == 0) {
        return DICE_ANOTHER_NONCE;
    }
    u256_to_bytes(product, r);
    m256_prep(r, &p256_n);
    number(s, private_key);
    number(k, nonce);
    number(e, digest);
    m256_mul(s, r, s, &p256_n);
    m256_add(s, e, s, &p256_n);
    m256_inv(k, k, &p256_n);
    m256_mul(s, k, s, &p256_n);
    dice_wipe(k, sizeof k);
    DICE_PUBLISH(s);
    if (u256_diff0(s) == 0) {
        return DICE_ANOTHER_NONCE;
    }
    memcpy(signature, product, 32);
    m256_to_bytes(signature + 32, s, &p256_n);
    return 0;
}

#ifdef DICE_FAST

// The same as p256_ecdsa_verify(), see there, with the other multiplication. All is public.
int dice_p256_verify(const uint8_t point[65], const uint8_t digest[32], const uint8_t signature[64]) {
    uint32_t r[8], s[8], u[8];
    uint8_t sum[64], u1[32], u2[32];
    if (check_point(point) || scalar_from_bytes(r, signature) || scalar_from_bytes(s, signature + 32)) {
        return -1;
    }
    m256_prep(s, &p256_n);
    m256_inv(s, s, &p256_n);
    number(u, digest);
    m256_mul(u, u, s, &p256_n);
    m256_to_bytes(u1, u, &p256_n);
    number(u, signature);
    m256_mul(u, u, s, &p256_n);
    m256_to_bytes(u2, u, &p256_n);
    if (add_products(sum, u1, u2, point + 1)) {
        return -1;
    }
    u256_from_bytes(u, sum);
    ecdsa_m256_mod_n(u);
    return u256_diff(u, r) ? -1 : 0;
}

#else

int dice_p256_verify(const uint8_t point[65], const uint8_t digest[32], const uint8_t signature[64]) {
    return point[0] != 4 ? -1 : p256_ecdsa_verify(signature, point + 1, digest, 32);
}

#endif
