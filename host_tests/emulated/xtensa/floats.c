// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// Floating-point numbers in software (IEEE 754, to the nearest, ties to even), as GCC calls it. An ESP32 has instructions for single precision.

#include <stdint.h>

#define SIGN (0x80000000u)
#define INFINITE (0x7f800000u)
#define NOT_A_NUMBER (0x7fc00000u)

typedef union {
    float value;
    uint32_t bits;
} word_t;

typedef union {
    double value;
    uint64_t bits;
} long_word_t;

static float of_bits(uint32_t bits) {
    return ((word_t){.bits = bits}).value;
}

static uint32_t bits_of(float value) {
    return ((word_t){.value = value}).bits;
}

// Shifts right; the last bit of the result is set if a bit was lost.
static uint32_t shift_sticky(uint32_t number, int count) {
    if (count > 31) {
        return number != 0;
    }
    return number >> count | ((number & ((1u << count) - 1)) != 0);
}

// Returns number * 2**(exponent - 157), rounded; 157 has bit 30 of `number` stand for 2**(exponent - 127).
static float pack(uint32_t sign, int exponent, uint32_t number) {
    if (number == 0) {
        return of_bits(sign);
    }
    int shift = __builtin_clz(number) - 1;
    number = shift < 0 ? shift_sticky(number, 1) : number << shift;
    exponent -= shift;
    if (exponent >= 255) {
        return of_bits(sign | INFINITE);
    }
    if (exponent <= 0) {
        number = shift_sticky(number, 1 - exponent);
        exponent = 0;
    }
    uint32_t rest = number & 0x7f;
    number >>= 7;
    number += rest > 0x40 || (rest == 0x40 && number & 1);
    return of_bits(sign | (((uint32_t)(exponent ? exponent - 1 : 0) << 23) + number)); // the leading bit is part of the exponent
}

// Takes a finite number other than 0 apart, so that the mantissa has 24 bits; returns the exponent.
static int unpack(uint32_t bits, uint32_t *mantissa) {
    int exponent = bits >> 23 & 0xff;
    *mantissa = bits & 0x7fffff;
    if (exponent) {
        *mantissa |= 0x800000;
        return exponent;
    }
    int shift = __builtin_clz(*mantissa) - 8;
    *mantissa <<= shift;
    return 1 - shift;
}

float __addsf3(float left, float right) {
    uint32_t a = bits_of(left), b = bits_of(right), mantissa, other;
    if ((a & ~SIGN) < (b & ~SIGN)) {
        uint32_t swap = a;
        a = b;
        b = swap;
    }
    if ((a & ~SIGN) >= INFINITE) {
        return of_bits((a & ~SIGN) > INFINITE || (b & ~SIGN) > INFINITE || (b ^ SIGN) == a ? NOT_A_NUMBER : a);
    }
    if ((b & ~SIGN) == 0) {
        return of_bits(a & ~SIGN ? a : a & b);
    }
    int exponent = unpack(a, &mantissa), distance = exponent - unpack(b, &other);
    other = shift_sticky(other << 7, distance);
    mantissa <<= 7;
    mantissa = (a ^ b) & SIGN ? mantissa - other : mantissa + other;
    return pack(mantissa ? a & SIGN : 0, exponent, mantissa);
}

float __subsf3(float left, float right) {
    return __addsf3(left, of_bits(bits_of(right) ^ SIGN));
}

float __mulsf3(float left, float right) {
    uint32_t a = bits_of(left), b = bits_of(right), sign = (a ^ b) & SIGN, mantissa, other;
    a &= ~SIGN;
    b &= ~SIGN;
    if (a >= INFINITE || b >= INFINITE) {
        return of_bits(a > INFINITE || b > INFINITE || !a || !b ? NOT_A_NUMBER : sign | INFINITE);
    }
    if (!a || !b) {
        return of_bits(sign);
    }
    int exponent = unpack(a, &mantissa) + unpack(b, &other) - 127;
    uint64_t product = (uint64_t)mantissa * other;
    return pack(sign, exponent, (uint32_t)(product >> 16) | ((product & 0xffff) != 0));
}

float __divsf3(float left, float right) {
    uint32_t a = bits_of(left), b = bits_of(right), sign = (a ^ b) & SIGN, mantissa, other;
    a &= ~SIGN;
    b &= ~SIGN;
    if (a > INFINITE || b > INFINITE || (a == INFINITE && b == INFINITE) || (!a && !b)) {
        return of_bits(NOT_A_NUMBER);
    }
    if (a == INFINITE || !b) {
        return of_bits(sign | INFINITE);
    }
    if (!a || b == INFINITE) {
        return of_bits(sign);
    }
    int exponent = unpack(a, &mantissa) - unpack(b, &other) + 126;
    uint64_t number = (uint64_t)mantissa << 31;
    uint32_t quotient = number / other;
    return pack(sign, exponent, quotient | (number % other != 0));
}

// Returns -1, 0 or 1, or `unordered` if one is not a number.
static int compare(float left, float right, int unordered) {
    uint32_t a = bits_of(left), b = bits_of(right);
    if ((a & ~SIGN) > INFINITE || (b & ~SIGN) > INFINITE) {
        return unordered;
    }
    int32_t x = a & SIGN ? -(int32_t)(a & ~SIGN) : (int32_t)a, y = b & SIGN ? -(int32_t)(b & ~SIGN) : (int32_t)b;
    return x < y ? -1 : x > y;
}

int __eqsf2(float left, float right) {
    return compare(left, right, 1);
}

int __nesf2(float left, float right) {
    return compare(left, right, 1);
}

int __ltsf2(float left, float right) {
    return compare(left, right, 1);
}

int __lesf2(float left, float right) {
    return compare(left, right, 1);
}

int __gtsf2(float left, float right) {
    return compare(left, right, -1);
}

int __gesf2(float left, float right) {
    return compare(left, right, -1);
}

int __unordsf2(float left, float right) {
    return compare(left, right, 2) == 2;
}

float __floatunsisf(uint32_t number) {
    return pack(0, 157, number);
}

float __floatsisf(int32_t number) {
    return number < 0 ? pack(SIGN, 157, -(uint32_t)number) : pack(0, 157, number);
}

// Double precision occurs in struct and uctypes only.

double __extendsfdf2(float value) {
    uint32_t bits = bits_of(value), mantissa;
    uint64_t result = (uint64_t)(bits & SIGN) << 32;
    if ((bits & ~SIGN) >= INFINITE) {
        result |= 0x7ff0000000000000 | (uint64_t)(bits & 0x7fffff) << 29;
    } else if (bits & ~SIGN) {
        uint64_t exponent = unpack(bits, &mantissa) + 1023 - 127;
        result |= exponent << 52 | (uint64_t)(mantissa & 0x7fffff) << 29;
    }
    return ((long_word_t){.bits = result}).value;
}

float __truncdfsf2(double value) {
    uint64_t bits = ((long_word_t){.value = value}).bits;
    uint32_t high = bits >> 32, sign = high & SIGN, low = bits;
    int exponent = (int)(high >> 20 & 0x7ff) - 1023 + 127;
    if (exponent == 0x7ff - 1023 + 127) {
        return of_bits(high & 0xfffff || low ? NOT_A_NUMBER : sign | INFINITE);
    }
    uint32_t mantissa = (1u << 30) | (high & 0xfffff) << 10 | low >> 22 | ((low & 0x3fffff) != 0);
    return exponent < -24 ? of_bits(sign) : pack(sign, exponent, mantissa);
}

double __floatsidf(int32_t number) {
    uint32_t size = number < 0 ? -(uint32_t)number : (uint32_t)number;
    if (!size) {
        return ((long_word_t){.bits = 0}).value;
    }
    int shift = __builtin_clz(size);
    uint64_t mantissa = (uint64_t)(size << shift) << 21; // the leading bit is bit 52
    uint64_t result = mantissa + ((uint64_t)(1023 + 31 - shift - 1) << 52);
    return ((long_word_t){.bits = result | (uint64_t)(number < 0) << 63}).value;
}

uint32_t __fixunssfsi(float value) {
    uint32_t bits = bits_of(value), mantissa = (bits & 0x7fffff) | 0x800000;
    int exponent = (int)(bits >> 23 & 0xff) - 150;
    if (exponent > 8) {
        return UINT32_MAX;
    }
    return exponent < -23 ? 0 : exponent < 0 ? mantissa >> -exponent : mantissa << exponent;
}

int32_t __fixsfsi(float value) {
    uint32_t bits = bits_of(value), number = __fixunssfsi(of_bits(bits & ~SIGN));
    if (number > INT32_MAX) {
        return bits & SIGN ? INT32_MIN : INT32_MAX;
    }
    return bits & SIGN ? -(int32_t)number : (int32_t)number;
}
