# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-128-CCM against SP 800-38C, NIST CAVP and Wycheproof: on CPython that of OpenSSL, and that in plain Python."""

from support import vectors

from dice import crypto
from dice._compat import MICROPYTHON

USED = [crypto.crypt]
if not MICROPYTHON:
    from dice.crypto import ccm

    USED.append(ccm.crypt)


def crypt(*arguments):
    """Seal or open with each implementation in turn, and return what the last one does; all must do the same."""
    *start, data, aad, plaintext = arguments
    before, done = bytes(data), []
    for implementation in USED:
        if plaintext is not None:
            data[:] = before
        done.append((implementation(*start, data, aad, plaintext), bytes(data)))
    assert done.count(done[0]) == len(done)
    return done[0][0]


def seal(key, nonce, aad, plaintext, tag_bytes, offset=0):
    """Return ciphertext | tag, sealed after `offset` bytes that must not change."""
    front = b"\xaa" * offset
    buffer = bytearray(front + bytes(len(plaintext) + tag_bytes))
    crypt(len(front), nonce[:4], tag_bytes, nonce, 4, key, buffer, aad, plaintext)
    assert buffer[: len(front)] == front
    return bytes(buffer[len(front) :])


def open_(key, nonce, aad, sealed, tag_bytes):
    """Return the plaintext, or None if the tag is wrong."""
    return crypt(0, nonce[:4], tag_bytes, nonce, 4, key, sealed, aad, None)


def check(key, nonce, aad, plaintext, expected, tag_bytes):
    """Assert that sealing and opening agree with a vector, and that a flipped bit is detected."""
    assert seal(key, nonce, aad, plaintext, tag_bytes) == expected
    assert seal(key, nonce, aad, plaintext, tag_bytes, 7) == expected
    assert open_(key, nonce, aad, expected, tag_bytes) == plaintext
    for at in (0, len(plaintext), -1):
        changed = bytearray(expected)
        changed[at] ^= 0x80
        assert open_(key, nonce, aad, changed, tag_bytes) is None
    assert open_(key, nonce, aad + b"\0", expected, tag_bytes) is None
    assert open_(key, nonce, aad, expected[:-1], tag_bytes) is None
    assert open_(key, nonce, aad, expected[: tag_bytes - 1], tag_bytes) is None


def test_sp_800_38c_example_3():
    key = bytes(range(0x40, 0x50))
    nonce = bytes(range(0x10, 0x1C))
    plaintext = bytes(range(0x20, 0x38))
    expected = bytes.fromhex("e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951")
    check(key, nonce, bytes(range(20)), plaintext, expected, 8)


def test_the_nist_cavp_vectors():
    count = 0
    for key, nonce, aad, plaintext, expected in vectors("nist_ccm.txt"):
        check(key, nonce, aad, plaintext, expected, 16)
        count += 1
    assert count == 10


def test_the_wycheproof_vectors():
    counts = {}
    for result, key, nonce, aad, plaintext, ciphertext, tag in vectors("wycheproof_ccm.txt"):
        opened = open_(key, nonce, aad, ciphertext + tag, len(tag))
        if result == "valid":
            assert opened == plaintext
            check(key, nonce, aad, plaintext, ciphertext + tag, len(tag))
        else:
            assert opened is None
        kind = (result, len(tag))
        counts[kind] = counts.get(kind, 0) + 1
    assert counts == {("valid", 16): 51, ("invalid", 16): 27, ("valid", 8): 8}


def test_lengths_around_a_block_round_trip():
    key, nonce = bytes(16), bytes(12)
    for length in (0, 1, 15, 16, 17, 31, 32, 33, 1195):
        plaintext = bytes(i & 0xFF for i in range(length))
        for aad in (b"", b"a", bytes(13), bytes(14), bytes(15)):
            opened = open_(key, nonce, aad, seal(key, nonce, aad, plaintext, 8), 8)
            assert opened == plaintext, (length, len(aad))
