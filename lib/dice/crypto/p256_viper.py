# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Arithmetic modulo p of P-256 on registers, in machine code; `p256_plain` is its equivalent, and says what it does.

A number has 17 limbs of 16 bits. Above the registers there is scratch, from 408 on: the upper limbs of a product, a copy of the
factor b, 16 limbs of 0, the lower limbs of the product, 17 limbs of 0. -1/p is 1 modulo 2^96. So in a Montgomery reduction the
multiple of p that clears a limb is that limb itself, and p = 2^256 - 2^224 + 2^192 + 2^96 - 1 adds it 16, 12 and 6 limbs above, and
subtracts it 14 above.
"""

import micropython


@micropython.viper
def run(t: uint, u: uint, program: ptr8, registers: ptr8):
    """Run a program; see p256_plain. The first two arguments are 0: they are in processor registers."""
    base = uint(registers)
    limbs = uint(17)
    while program[0] != 15:
        m = program[0]
        to = ptr16(base + (m & 15) * 34)
        a = ptr16(base + (program[1] >> 4) * 34)
        b = ptr16(base + (program[1] & 15) * 34)
        program = ptr8(uint(program) + 2)
        m >>= 4
        if m:
            p = ptr16(base + 340)
            if m > 8:
                m -= 16
                p = ptr16(base + 374)
            t = uint(0)
            u = uint(0)
            while u < limbs:
                t = uint((int(t) >> 16) + a[u] + b[u] * m + p[u])
                to[u] = t
                u += 1
            continue
        p = ptr16(base + 408)
        u = uint(0)
        while u < limbs:
            p[u] = 0
            p[u + 17] = b[u]
            u += 1
        b = ptr16(base + 508)
        m = 17
        while m:
            m -= 1
            u = uint(a[0])
            a = ptr16(uint(a) + 2)
            t = u * p[17] + p[0]
            b[0] = t
            b = ptr16(uint(b) + 2)
            t >>= 16
            t += p[18] * u + p[1]
            p[0] = t
            t >>= 16
            t += p[19] * u + p[2]
            p[1] = t
            t >>= 16
            t += p[20] * u + p[3]
            p[2] = t
            t >>= 16
            t += p[21] * u + p[4]
            p[3] = t
            t >>= 16
            t += p[22] * u + p[5]
            p[4] = t
            t >>= 16
            t += p[23] * u + p[6]
            p[5] = t
            t >>= 16
            t += p[24] * u + p[7]
            p[6] = t
            t >>= 16
            t += p[25] * u + p[8]
            p[7] = t
            t >>= 16
            t += p[26] * u + p[9]
            p[8] = t
            t >>= 16
            t += p[27] * u + p[10]
            p[9] = t
            t >>= 16
            t += p[28] * u + p[11]
            p[10] = t
            t >>= 16
            t += p[29] * u + p[12]
            p[11] = t
            t >>= 16
            t += p[30] * u + p[13]
            p[12] = t
            t >>= 16
            t += p[31] * u + p[14]
            p[13] = t
            t >>= 16
            t += p[32] * u + p[15]
            p[14] = t
            t >>= 16
            t += p[33] * u + p[16]
            p[15] = t
            p[16] = t >> 16
        b = ptr16(base + 476)
        a = ptr16(base + 508)
        p = a
        m = 2
        t = uint(0)
        while m:
            m -= 1
            u = uint(0)
            while u < limbs:
                t = uint((int(t) >> 16) + a[u] + b[0] - b[2] + b[4] + b[10])
                b = ptr16(uint(b) + 2)
                p[u] = t
                u += 1
            a = ptr16(base + 408)
            p = to
