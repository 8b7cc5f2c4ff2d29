// SPDX-FileCopyrightText: 2026 The dice authors
// SPDX-License-Identifier: MIT
//
// What C compilers call of libc, for modules that are linked without one. By default GCC replaces a loop that copies by a call of
// memcpy, even in memcpy.

#include <stddef.h>
#include <stdint.h>

#include "dice.h"

#define LIBC __attribute__((used, externally_visible, noinline, optimize("no-tree-loop-distribute-patterns")))

typedef uint32_t __attribute__((may_alias)) word;

LIBC void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    uint8_t *restrict out = to;
    const uint8_t *restrict in = from;
    if ((((uintptr_t)out | (uintptr_t)in) & 3) == 0) {
        for (; size >= 4; size -= 4, out += 4, in += 4) {
            *(word *)out = *(const word *)in;
        }
    }
    while (size--) {
        *out++ = *in++;
    }
    return to;
}

LIBC void *memmove(void *to, const void *from, size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    if ((uintptr_t)out - (uintptr_t)in >= size) {
        return memcpy(to, from, size);
    }
    while (size--) {
        out[size] = in[size];
    }
    return to;
}

LIBC void *memset(void *to, int byte, size_t size) {
    uint8_t *out = to;
    if (((uintptr_t)out & 3) == 0) {
        word all = (uint8_t)byte * 0x01010101u;
        for (; size >= 4; size -= 4, out += 4) {
            *(word *)out = all;
        }
    }
    while (size--) {
        *out++ = byte;
    }
    return to;
}
