// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// Sums of 64 bits for p256-m on Xtensa, where GCC makes a branch of a carry. dicectl/firmware/native.py puts them into its source.

#include <stdint.h>

static inline uint32_t dice_carry(uint32_t left, uint32_t right, uint32_t sum) {
    return ((left & right) | ((left | right) & ~sum)) >> 31;
}

static inline uint64_t dice_add(uint64_t sum, uint32_t number) {
    uint32_t before = (uint32_t)sum, low = before + number;
    return (uint64_t)((uint32_t)(sum >> 32) + dice_carry(before, number, low)) << 32 | low;
}

// left - right - borrow, with all bits of the upper half set if that is negative.
static inline uint64_t dice_subtract(uint32_t left, uint32_t right, uint32_t borrow) {
    uint32_t difference = left - right - borrow;
    uint32_t borrows = ((~left & right) | (~(left ^ right) & difference)) >> 31;
    return (uint64_t)-borrows << 32 | difference;
}
