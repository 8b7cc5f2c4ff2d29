# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The two ways to do AES-CCM around the block cipher agree: in plain Python, and in machine code where the port takes it."""

import sys

from dice.crypto import aead, blocks

KEY = bytes(range(16))
SALT = b"salt"
LENGTHS = (0, 1, 15, 16, 17, 64, 255, 1195, 4100)
AAD = (None, b"", b"a", 14, 15, 300)  # a number: as many bytes of noise


def ways():
    """Return the functions to compare with each other; on CPython there is one."""
    return [blocks.crypt] + ([aead.crypt] if aead.crypt is not blocks.crypt else [])


def noise(length, seed):
    """Return bytes that repeat from run to run."""
    out = bytearray(length)
    for i in range(length):
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        out[i] = seed >> 16 & 0xFF
    return out


def crypt(way, data, length, tag_bytes, aad, opening):
    """Seal `data` in place or open it, as a record whose fragment begins at 21."""
    return way(KEY, SALT, data, 21, length, tag_bytes, aad or b"", -1 if aad is None else len(aad), opening)


def test_machine_code_is_used_where_the_port_takes_it():
    """A firmware that names a native architecture runs the machine code."""
    native = getattr(sys.implementation, "_mpy", 0) >> 10 != 0
    assert len(ways()) == (2 if native else 1)


def test_both_seal_and_open_alike():
    """Sealing changes the fragment alone, and what one seals the other opens, from anything bytes-like, leaving it as it was."""
    for length in LENGTHS:
        text = noise(length + 37, length + 7)
        for aad in AAD if length < 1000 else AAD[:1]:
            aad = noise(aad, 1) if isinstance(aad, int) else aad
            for tag_bytes in (8, 16):
                sealed = []
                for way in ways():
                    data = bytearray(text)
                    assert crypt(way, data, length, tag_bytes, aad, False) is None
                    assert data[:21] == text[:21] and data[21 + length + tag_bytes :] == text[21 + length + tag_bytes :]
                    sealed.append(bytes(data))
                assert sealed[0] == sealed[-1]
                for way in ways():
                    for data in (sealed[0], bytearray(sealed[0]), memoryview(sealed[0])):
                        plaintext = crypt(way, data, length, tag_bytes, aad, True)
                        assert type(plaintext) is bytes and plaintext == text[21 : 21 + length]
                        assert data == sealed[0]


def test_both_refuse_one_wrong_bit():
    """Of the tag wherever it is; of the text, the header and the nonce too."""
    for way in ways():
        data = noise(21 + 17 + 8, 4)
        crypt(way, data, 17, 8, None, False)
        for bit in range(8 * (21 + 17), 8 * (21 + 17 + 8)):
            data[bit // 8] ^= 1 << bit % 8
            assert crypt(way, data, 17, 8, None, True) is None
            data[bit // 8] ^= 1 << bit % 8
        for at in (0, 2, 3, 10, 13, 20, 21, 37):
            data[at] ^= 1
            assert crypt(way, data, 17, 8, None, True) is None
            data[at] ^= 1
        assert crypt(way, data, 17, 8, None, True) is not None
