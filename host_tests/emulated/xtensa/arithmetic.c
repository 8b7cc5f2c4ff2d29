// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
// What GCC calls for integers. Debian's libgcc for Xtensa has another ABI, and its compiler knows of no divide instructions.

#include <stdint.h>

#define INSTRUCTION(function, type, name)                                    \
    type function(type left, type right) {                                   \
        type result;                                                         \
        __asm__(name " %0, %1, %2" : "=r"(result) : "r"(left), "r"(right));  \
        return result;                                                       \
    }

INSTRUCTION(__divsi3, int32_t, "quos")
INSTRUCTION(__modsi3, int32_t, "rems")
INSTRUCTION(__udivsi3, uint32_t, "quou")
INSTRUCTION(__umodsi3, uint32_t, "remu")

uint64_t __umulsidi3(uint32_t left, uint32_t right) { // no core of QEMU has muluh
    uint32_t low = left & 0xffff, high = left >> 16, other_low = right & 0xffff, other_high = right >> 16;
    uint32_t middle = high * other_low + (low * other_low >> 16); // at most (2**16 - 1) * 2**16: no overflow
    uint32_t second = (middle & 0xffff) + low * other_high;
    uint32_t top = high * other_high + (middle >> 16) + (second >> 16);
    return (uint64_t)top << 32 | (uint32_t)(left * right);
}

uint64_t __muldi3(uint64_t left, uint64_t right) {
    uint32_t low = left, other_low = right;
    uint32_t crossed = (uint32_t)(left >> 32) * other_low + low * (uint32_t)(right >> 32);
    return __umulsidi3(low, other_low) + ((uint64_t)crossed << 32);
}

uint64_t __ashldi3(uint64_t number, int count) {
    uint32_t low = number, high = number >> 32;
    if (count == 0) {
        return number;
    }
    return count < 32 ? (uint64_t)(high << count | low >> (32 - count)) << 32 | (low << count) : (uint64_t)(low << (count - 32)) << 32;
}

uint64_t __lshrdi3(uint64_t number, int count) {
    uint32_t low = number, high = number >> 32;
    if (count == 0) {
        return number;
    }
    return count < 32 ? (uint64_t)(high >> count) << 32 | (low >> count | high << (32 - count)) : high >> (count - 32);
}

static uint64_t divide(uint64_t number, uint64_t divisor, uint64_t *remainder) {
    if (!(number >> 32) && !(divisor >> 32)) {
        *remainder = (uint32_t)number % (uint32_t)divisor;
        return (uint32_t)number / (uint32_t)divisor;
    }
    uint64_t quotient = 0, rest = 0;
    for (int bit = 63; bit >= 0; bit--) {
        uint64_t carry = rest >> 63;
        rest = rest << 1 | (number >> bit & 1);
        if (carry || rest >= divisor) {
            rest -= divisor;
            quotient |= (uint64_t)1 << bit;
        }
    }
    *remainder = rest;
    return quotient;
}

static uint64_t magnitude(int64_t number) {
    return number < 0 ? -(uint64_t)number : (uint64_t)number;
}

uint64_t __udivdi3(uint64_t number, uint64_t divisor) {
    uint64_t remainder;
    return divide(number, divisor, &remainder);
}

uint64_t __umoddi3(uint64_t number, uint64_t divisor) {
    uint64_t remainder;
    divide(number, divisor, &remainder);
    return remainder;
}

int64_t __divdi3(int64_t number, int64_t divisor) {
    uint64_t remainder, quotient = divide(magnitude(number), magnitude(divisor), &remainder);
    return (number < 0) != (divisor < 0) ? -quotient : quotient;
}

int64_t __moddi3(int64_t number, int64_t divisor) {
    uint64_t remainder;
    divide(magnitude(number), magnitude(divisor), &remainder);
    return number < 0 ? -remainder : remainder;
}

uint32_t __bswapsi2(uint32_t word) {
    return word << 24 | (word & 0xff00) << 8 | (word >> 8 & 0xff00) | word >> 24;
}

int __popcountsi2(uint32_t word) {
    int count = 0;
    for (; word; word &= word - 1) {
        count++;
    }
    return count;
}
