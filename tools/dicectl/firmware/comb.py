# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The multiples of P-256's base point that firmware/native/core/p256_fast.c adds up, as a C table in the form of ec_p256_m15."""

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
TEETH, COLUMNS = 4, 64


def _add(left, right):
    """Return the sum of two points (x, y) that are not opposite."""
    (x1, y1), (x2, y2) = left, right
    slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, _P) if left == right else (y2 - y1) * pow(x2 - x1, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def points():
    """Return the sums of G, 2**64 G, 2**128 G, 2**192 G, those of bit t of the index + 1 for tooth t."""
    teeth = [_G]
    for _ in range(TEETH - 1):
        point = teeth[-1]
        for _ in range(COLUMNS):
            point = _add(point, point)
        teeth.append(point)
    found = []
    for index in range(1, 1 << TEETH):
        chosen = [tooth for bit, tooth in enumerate(teeth) if index >> bit & 1]
        total = chosen[0]
        for tooth in chosen[1:]:
            total = _add(total, tooth)
        found.append(total)
    return found


def table():
    """Return C source: limbs of 13 bits, two in a word, first those of x."""
    rows = []
    for point in points():
        limbs = [number >> 13 * i & 0x1FFF for number in point for i in range(20)]
        rows.append("{" + ", ".join(f"0x{low | high << 16:x}" for low, high in zip(limbs[::2], limbs[1::2])) + "},")
    return "static const uint32_t comb[15][20] = {\n" + "\n".join(rows) + "\n};\n"
