# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The arithmetic that the Xtensa port has in place of a compiler's library gives the bits that this computer gives."""

import math
import random
import struct

import pytest

from dicectl.errors import CommandError
from host_tests.emulated.targets import TABLE

EDGES = [0x00000000, 0x80000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x4B7FFFFF]
SCRIPT = """
import struct
def word(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]
def number(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]
with open("words") as file:
    for line in file:
        x, y = (number(int(text)) for text in line.split())
        quotient = x / y if y else 0.0
        whole = int(x) if abs(x) < 2.0**31 else 0
        long = struct.unpack("<d", struct.pack("<d", x))[0]
        print(word(x + y), word(x - y), word(x * y), word(quotient), x < y, x == y, x >= y, whole, word(float(whole)), word(long))
"""


def single(value):
    """Return a double rounded to single precision, as MicroPython rounds: too large becomes infinite."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def word(value):
    bits = struct.unpack("<I", struct.pack("<f", single(value)))[0]
    return 0x7FC00000 if math.isnan(value) else bits


def number(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def expected(x, y):
    """Return what SCRIPT prints; a double has so many bits that rounding it again is exact."""
    quotient = x / y if y else 0.0
    whole = int(x) if abs(x) < 2.0**31 else 0
    results = (x + y, x - y, x * y, quotient)
    return [*(word(each) for each in results), x < y, x == y, x >= y, whole, word(float(whole)), word(x)]


def words():
    """Return pairs of words: the edges, any bits, and numbers of about the same size, which cancel."""
    source = random.Random(14)
    pairs = [(x, y) for x in EDGES for y in EDGES]
    pairs += [(source.getrandbits(32), source.getrandbits(32)) for _ in range(300)]
    pairs += [(source.getrandbits(27) | 0x38000000, source.getrandbits(26) | 0xBA000000) for _ in range(300)]
    return [pair for pair in pairs if not any(math.isnan(number(bits)) for bits in pair)]


def test_results_are_the_same_to_the_last_bit():
    target, pairs = TABLE["xtensa"], words()
    try:
        target.get()
    except CommandError as failure:
        pytest.skip(failure.format_message())
    lines = target.run(SCRIPT, {"words": "".join(f"{x} {y}\n" for x, y in pairs).encode()})
    assert len(lines) == len(pairs)
    for (x, y), line in zip(pairs, lines):
        assert line.replace("4290772992", "2143289344") == " ".join(map(str, expected(number(x), number(y)))), (
            number(x),
            number(y),
        )
