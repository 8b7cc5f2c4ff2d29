# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Arithmetic modulo p of P-256 on registers, in plain Python; `p256_viper` is its equivalent in machine code.

For CPython, and for MicroPython without a native code emitter.
"""

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_MINUS_INVERSE = 0xFFFFFFFF00000002000000000000000000000001000000000000000000000001  # -1/p modulo 2^272


def _get(registers, i):
    return int.from_bytes(registers[34 * i : 34 * i + 34], "little")


def run(t, u, program, registers):
    """Run a program on registers of 34 bytes, little-endian; see p256. `t` and `u` are 0.

    A program is instructions and a byte 15. An instruction has four numbers of 4 bits: m, d, a, b. With m = 0 register d becomes
    a b 2^-272 modulo p, below 2p if a b is below 2^528; with m from 1 to 8 it becomes a + m b; with m above, a - (16 - m) b + 16p,
    which must not be negative.
    """
    for i in range(0, len(program) - 1, 2):
        m = program[i] >> 4
        d = (program[i] & 15) * 34
        a = _get(registers, program[i + 1] >> 4)
        b = _get(registers, program[i + 1] & 15)
        if not m:
            a *= b
            a = a + a * _MINUS_INVERSE % (1 << 272) * _P >> 272
        elif m > 8:
            a += (m - 16) * b + 16 * _P
        else:
            a += m * b
        registers[d : d + 34] = a.to_bytes(34, "little")
