# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The two ways to do what AES-CCM does byte by byte agree: in plain Python, and in machine code where the port takes it."""

import sys

from dice.crypto import blocks as chosen

LENGTHS = (0, 1, 15, 16, 17, 64, 255, 1195)


def ways():
    """Return the modules to compare with each other; on CPython there is one."""
    from dice.crypto.blocks import differ  # noqa: F401 - makes sure that the plain module is there

    modules = [sys.modules["dice.crypto.blocks"]]
    if chosen is not modules[0]:
        modules.append(chosen)
    return modules


def noise(length, seed):
    """Return bytes that repeat from run to run."""
    out = bytearray(length)
    for i in range(length):
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        out[i] = seed >> 16 & 0xFF
    return out


def prepared(module, length, aad, tag_bytes):
    """Return what prepare() makes of a record."""
    data = noise(length + 21 + tag_bytes, length + 7)
    size = length + 31 & -16
    stream = bytearray(size)
    formatted = bytearray(size + (16 if aad is None else len(aad) + 17 & -16 if aad else 0))
    aad_bytes = -1 if aad is None else len(aad)
    module.prepare(formatted, stream, data, 21, length, b"salt", tag_bytes, aad or b"", aad_bytes)
    return data, stream, formatted


def test_machine_code_is_used_where_the_port_takes_it():
    """A firmware that names a native architecture runs the machine code."""
    native = getattr(sys.implementation, "_mpy", 0) >> 10 != 0
    assert len(ways()) == (2 if native else 1)


def test_prepare():
    """Both fill in the same blocks."""
    for length in LENGTHS:
        for aad in (None, b"", b"a", noise(23, 1), noise(300, 2)):
            for tag_bytes in (8, 16):
                made = [prepared(module, length, aad, tag_bytes)[1:] for module in ways()]
                assert all(one == made[0] for one in made), (length, aad and len(aad))
                assert made[0][1][0] == (0x40 if aad is None or aad else 0) | (tag_bytes - 2) // 2 << 3 | 2


def test_unmask():
    """Both decrypt in place, zero the padding and say where the plaintext begins."""
    for length in LENGTHS:
        made = []
        for module in ways():
            _, _, formatted = prepared(module, length, None, 8)
            stream = noise(length + 31 & -16, 3)
            start = module.unmask(formatted, stream, length)
            assert start == len(formatted) - (length + 15 & -16)
            assert not any(formatted[start + length :])
            made.append(bytes(formatted))
        assert made[0] == made[-1]


def test_finish_and_differ():
    """Both encrypt in place, make the same tag, and tell one wrong bit of it wherever it is."""
    for length in LENGTHS:
        made = []
        for module in ways():
            data, _, formatted = prepared(module, length, None, 8)
            stream = noise(length + 31 & -16, 4)
            module.finish(data, 21, length, stream, formatted, 8)
            made.append(bytes(data))
            assert module.differ(data, 21 + length, stream, formatted, 8) == 0
            for bit in range(64):
                data[21 + length + bit // 8] ^= 1 << bit % 8
                assert module.differ(data, 21 + length, stream, formatted, 8) != 0
                data[21 + length + bit // 8] ^= 1 << bit % 8
        assert made[0] == made[-1]
