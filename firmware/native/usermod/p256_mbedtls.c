// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// P-256 of dice.h by the Mbed TLS that the firmware has already, where an accelerator may compute it: an ESP32's big integers, the
// points of an ESP32-C2, -C6 or -H2. Mbed TLS blinds a multiplication with random numbers, which are taken from the port.

#include <string.h>

#include "mbedtls/bignum.h"
#include "mbedtls/ecp.h"
#include "mbedtls/error.h"

#include "dice.h"

#ifdef ESP_PLATFORM
#include "esp_random.h"

static int random_bytes(void *unused, unsigned char *out, size_t size) {
    (void)unused;
    esp_fill_random(out, size);
    return 0;
}
#else
// What Mbed TLS's own entropy comes from, in a port of MicroPython.
int mbedtls_hardware_poll(void *data, unsigned char *output, size_t len, size_t *olen);

static int random_bytes(void *unused, unsigned char *out, size_t size) {
    (void)unused;
    while (size) {
        size_t got = 0;
        if (mbedtls_hardware_poll(NULL, out, size, &got) || got == 0) {
            return MBEDTLS_ERR_ECP_RANDOM_FAILED;
        }
        out += got;
        size -= got;
    }
    return 0;
}
#endif

// All that a computation needs; mbedtls_mpi_free() overwrites what it frees.
typedef struct {
    mbedtls_ecp_group group;
    mbedtls_ecp_point point, result;
    mbedtls_mpi scalar, r, s, e, other;
} numbers;

static int begin(numbers *n) {
    mbedtls_ecp_group_init(&n->group);
    mbedtls_ecp_point_init(&n->point);
    mbedtls_ecp_point_init(&n->result);
    mbedtls_mpi_init(&n->scalar);
    mbedtls_mpi_init(&n->r);
    mbedtls_mpi_init(&n->s);
    mbedtls_mpi_init(&n->e);
    mbedtls_mpi_init(&n->other);
    return mbedtls_ecp_group_load(&n->group, MBEDTLS_ECP_DP_SECP256R1);
}

// Does not return: memory is lacking, or random numbers or an accelerator failed. That is no error of the keys.
__attribute__((noreturn)) void dice_p256_failed(bool memory);

static int end(numbers *n, int status) {
    mbedtls_ecp_group_free(&n->group);
    mbedtls_ecp_point_free(&n->point);
    mbedtls_ecp_point_free(&n->result);
    mbedtls_mpi_free(&n->scalar);
    mbedtls_mpi_free(&n->r);
    mbedtls_mpi_free(&n->s);
    mbedtls_mpi_free(&n->e);
    mbedtls_mpi_free(&n->other);
    switch (status) {
        case MBEDTLS_ERR_MPI_ALLOC_FAILED:
        case MBEDTLS_ERR_ECP_ALLOC_FAILED:
            dice_p256_failed(true);
        case MBEDTLS_ERR_ECP_RANDOM_FAILED:
        case MBEDTLS_ERR_PLATFORM_HW_ACCEL_FAILED:
            dice_p256_failed(false);
    }
    return status;
}

// A scalar in [1, n - 1].
static int read_scalar(numbers *n, mbedtls_mpi *to, const uint8_t bytes[32]) {
    int status = mbedtls_mpi_read_binary(to, bytes, 32);
    return status ? status : mbedtls_ecp_check_privkey(&n->group, to);
}

static int read_point(numbers *n, const uint8_t bytes[65]) {
    int status = bytes[0] == 4 ? mbedtls_ecp_point_read_binary(&n->group, &n->point, bytes, 65) : -1;
    return status ? status : mbedtls_ecp_check_pubkey(&n->group, &n->point);
}

static int multiply(numbers *n, const mbedtls_mpi *scalar, const mbedtls_ecp_point *point) {
    return mbedtls_ecp_mul(&n->group, &n->result, scalar, point, random_bytes, NULL);
}

int dice_p256_public(uint8_t point[65], const uint8_t private_key[32]) {
    numbers n;
    size_t size;
    int status = begin(&n);
    status = status ? status : read_scalar(&n, &n.scalar, private_key);
    status = status ? status : multiply(&n, &n.scalar, &n.group.G);
    status = status ? status : mbedtls_ecp_point_write_binary(&n.group, &n.result, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, point, 65);
    return end(&n, status);
}

int dice_p256_ecdh(uint8_t shared[32], const uint8_t private_key[32], const uint8_t point[65]) {
    numbers n;
    size_t size;
    uint8_t product[65];
    int status = begin(&n);
    status = status ? status : read_scalar(&n, &n.scalar, private_key);
    status = status ? status : read_point(&n, point);
    status = status ? status : multiply(&n, &n.scalar, &n.point);
    status = status ? status : mbedtls_ecp_point_write_binary(&n.group, &n.result, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, product, 65);
    if (!status) {
        memcpy(shared, product + 1, 32);
    }
    dice_wipe(product, sizeof product);
    return end(&n, status);
}

// Out: the x of n->result modulo n, in n->r.
static int read_r(numbers *n) {
    uint8_t product[65];
    size_t size;
    int status = mbedtls_ecp_point_write_binary(&n->group, &n->result, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, product, 65);
    status = status ? status : mbedtls_mpi_read_binary(&n->r, product + 1, 32);
    return status ? status : mbedtls_mpi_mod_mpi(&n->r, &n->r, &n->group.N);
}

// to = left * right mod n
static int multiply_mod(numbers *n, mbedtls_mpi *to, const mbedtls_mpi *left, const mbedtls_mpi *right) {
    int status = mbedtls_mpi_mul_mpi(to, left, right);
    return status ? status : mbedtls_mpi_mod_mpi(to, to, &n->group.N);
}

// Out: a random number in [1, n - 1], in n->other.
static int read_random(numbers *n) {
    uint8_t bytes[32];
    int status;
    do {
        status = random_bytes(NULL, bytes, sizeof bytes);
        status = status ? status : read_scalar(n, &n->other, bytes);
    } while (status == MBEDTLS_ERR_ECP_INVALID_KEY);
    dice_wipe(bytes, sizeof bytes);
    return status;
}

int dice_p256_sign(uint8_t signature[64], const uint8_t private_key[32], const uint8_t digest[32], const uint8_t nonce[32]) {
    // SEC 1, section 4.1.3: r = (nonce * G).x mod n, s = (digest + r * private key) / nonce mod n. Both are multiplied by a random
    // number t before they are divided by n, and the nonce before it is inverted, since neither is constant time; as in
    // mbedtls_ecdsa_sign().
    numbers n;
    int status = begin(&n);
    status = status ? status : read_scalar(&n, &n.s, private_key);
    status = status ? status : read_scalar(&n, &n.scalar, nonce);
    status = status ? status : multiply(&n, &n.scalar, &n.group.G);
    status = status ? status : read_r(&n);
    status = status ? status : read_random(&n); // t
    status = status ? status : mbedtls_mpi_mul_mpi(&n.s, &n.s, &n.r);
    status = status ? status : mbedtls_mpi_read_binary(&n.e, digest, 32);
    status = status ? status : mbedtls_mpi_add_mpi(&n.e, &n.e, &n.s);
    status = status ? status : multiply_mod(&n, &n.e, &n.e, &n.other);
    status = status ? status : multiply_mod(&n, &n.scalar, &n.scalar, &n.other);
    status = status ? status : mbedtls_mpi_inv_mod(&n.scalar, &n.scalar, &n.group.N);
    status = status ? status : multiply_mod(&n, &n.s, &n.e, &n.scalar);
    if (!status && (mbedtls_mpi_cmp_int(&n.r, 0) == 0 || mbedtls_mpi_cmp_int(&n.s, 0) == 0)) {
        status = DICE_ANOTHER_NONCE;
    }
    uint8_t r[32], s[32];
    status = status ? status : mbedtls_mpi_write_binary(&n.r, r, 32);
    status = status ? status : mbedtls_mpi_write_binary(&n.s, s, 32);
    if (!status) {
        memcpy(signature, r, 32);
        memcpy(signature + 32, s, 32);
    }
    return end(&n, status);
}

int dice_p256_verify(const uint8_t point[65], const uint8_t digest[32], const uint8_t signature[64]) {
    // SEC 1, section 4.1.4. All of it is public.
    numbers n;
    int status = begin(&n);
    status = status ? status : read_point(&n, point);
    status = status ? status : read_scalar(&n, &n.other, signature);
    status = status ? status : read_scalar(&n, &n.s, signature + 32);
    status = status ? status : mbedtls_mpi_inv_mod(&n.s, &n.s, &n.group.N);
    status = status ? status : mbedtls_mpi_read_binary(&n.e, digest, 32);
    status = status ? status : multiply_mod(&n, &n.e, &n.e, &n.s);
    status = status ? status : multiply_mod(&n, &n.scalar, &n.other, &n.s);
    status = status ? status : mbedtls_ecp_muladd(&n.group, &n.result, &n.e, &n.group.G, &n.scalar, &n.point);
    status = status ? status : mbedtls_ecp_is_zero(&n.result);
    status = status ? status : read_r(&n);
    status = status ? status : mbedtls_mpi_cmp_mpi(&n.r, &n.other);
    return end(&n, status);
}
