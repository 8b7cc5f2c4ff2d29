# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tests of the native module `_dice` that run on MicroPython, on each of its architectures: what it computes, and what it refuses.

Its results are compared with those of `ccm`, with RFC 6979 and with vectors; the portable tests of AES-CCM run with it as well.
"""

from struct import pack

import _dice
from test_ccm import AAD, KEY, SALT, noise
from test_p256 import POINT, PRIVATE, SAMPLE, TEST, digest

from dice.crypto import ccm

_TYPE, _VALUE = "TypeError", "ValueError"


def refused(wanted, function, *arguments):
    """Assert that a call raises an exception of this name."""
    try:
        function(*arguments)
    except Exception as error:
        assert type(error).__name__ == wanted, (wanted, error, arguments)
        return
    raise AssertionError(("was not refused", arguments))


def record(length, tag_bytes=8):
    """Return a bytearray like a record with a plaintext of `length` bytes."""
    return noise(21 + length + tag_bytes, length + 1)


def test_it_has_the_version_that_dice_expects():
    assert _dice.VERSION == 2


def test_ccm_is_that_of_plain_python():
    for length in (0, 1, 15, 16, 17, 64, 300):
        plaintext = bytes(noise(length, 9))
        for aad in AAD if length < 20 else AAD[:1]:
            aad = bytes(noise(aad, 1)) if isinstance(aad, int) else aad
            for tag_bytes in (4, 16) if aad else (8,):
                ours, theirs = record(length, tag_bytes), record(length, tag_bytes)
                for crypt, data in ((_dice.crypt, ours), (ccm.crypt, theirs)):
                    assert crypt(21, SALT, tag_bytes, data, 13, KEY, data, aad, plaintext) is None
                assert ours == theirs
                opened = _dice.crypt(21, SALT, tag_bytes, ours, 13, KEY, memoryview(ours), aad, None)
                assert type(opened) is bytes and opened == plaintext and hash(opened) == hash(plaintext)
                ours[-1] ^= 1
                assert _dice.crypt(21, SALT, tag_bytes, ours, 13, KEY, ours, aad, None) is None


def test_arguments_may_overlap_while_sealing():
    """Each argument is read as it was before the call, as plain Python reads it."""
    for at in (0, 3, 20, 21, 22, 25, 37, 40):
        for length in (0, 5, 16, 33):
            results = []
            for crypt in (_dice.crypt, ccm.crypt):
                data = noise(100, 3)
                view = memoryview(data)
                fragment = view[: 21 + length + 8]
                key, salt, aad = view[at : at + 16], view[at + 2 : at + 6], view[at : at + 20]
                crypt(21, salt, 8, data, at, key, fragment, aad, view[at : at + length])
                results.append(bytes(data))
            assert results[0] == results[1], (at, length)


def test_wrong_types_are_refused():
    data = record(16)
    good = [21, SALT, 8, data, 13, KEY, data, None, bytes(16)]
    _dice.crypt(*good)
    numbers = (None, b"1", "1", (), 1 << 80, -1 << 80)
    buffers = (None, 1, "1234567890123456", [1], object())
    wrong = {0: numbers, 1: buffers, 2: numbers, 3: buffers, 4: numbers, 5: buffers}
    wrong.update({6: buffers + (bytes(data), memoryview(bytes(data))), 7: buffers[1:], 8: buffers[1:]})
    for at in wrong:
        for value in wrong[at]:
            refused(_TYPE, _dice.crypt, *(good[:at] + [value] + good[at + 1 :]))
    for count in (0, 8, 10):
        refused(_TYPE, _dice.crypt, *(good * 2)[:count])
    assert data == bytearray(data)


def test_wrong_lengths_are_refused():
    data = record(16)
    before = bytes(data)
    good = [21, SALT, 8, data, 13, KEY, data, None, bytes(16)]
    wrong = {
        0: (-1, -(1 << 29)),
        1: [bytes(count) for count in (0, 3, 5, 16)],
        2: (-8, 0, 1, 2, 3, 5, 15, 17, 18, 255, 1 << 29),
        3: [bytes(count) for count in (0, 7, 20)],
        4: (-1, len(data) - 7, len(data), 1 << 29, (1 << 30) - 1),
        5: [bytes(count) for count in (0, 15, 17, 24, 32)],
        8: [bytes(count) for count in (0, 15, 17, 1000)],
    }
    for at in wrong:
        for value in wrong[at]:
            refused(_VALUE, _dice.crypt, *(good[:at] + [value] + good[at + 1 :]))
    assert data == before
    for opening in (None, b""):
        for start in (len(data) - 7, len(data), len(data) + 1, 1 << 29, (1 << 30) - 1):
            assert _dice.crypt(start, SALT, 8, data, 13, KEY, data, b"", opening) is None
        for short in (bytearray(), bytearray(7)):
            assert _dice.crypt(0, SALT, 8, data, 13, KEY, short, b"", opening) is None
    refused(_VALUE, _dice.crypt, 0, SALT, 8, data, 13, KEY, bytearray(12), None, bytes(4))  # no header
    assert data == before


def test_what_is_too_long_is_refused():
    data = record(1)
    refused(_VALUE, _dice.crypt, 21, SALT, 8, data, 13, KEY, data, bytes(65280), b"1")
    try:
        large = bytearray(65536 + 8)
    except MemoryError:
        return
    refused(_VALUE, _dice.crypt, 0, SALT, 8, data, 13, KEY, large, b"", None)
    refused(_VALUE, _dice.crypt, 0, SALT, 8, data, 13, KEY, large, b"", memoryview(large)[8:])


CIPHER = _dice.crypt, 21, 13, 8, 4, 20  # as in dice.suites
SEQUENCES = (0, 1, 0xFFFF, (1 << 30) - 1, 1 << 30, (1 << 32) - 1, 1 << 32, (1 << 40) + 5, (1 << 48) - 1)


def test_records_are_those_of_rfc_6655():
    for length in (0, 1, 300):
        plaintext = bytes(noise(length, 2))
        for sequence in SEQUENCES:
            for epoch in (1, 0xFFFF):
                number = pack(">HHI", epoch, sequence >> 32, sequence & 0xFFFFFFFF)
                expected = bytearray(b"\x17\xfe\xfd" + number + pack(">H", length + 16) + number + bytes(length + 8))
                _dice.crypt(21, SALT, 8, expected, 3, KEY, expected, None, plaintext)
                sealed = _dice.seal(CIPHER, KEY, SALT, 23, epoch, sequence, plaintext)
                assert type(sealed) is bytearray and sealed == expected
                assert _dice.open(CIPHER, KEY, SALT, sealed) == plaintext
                sealed[-1] ^= 1
                assert _dice.open(CIPHER, KEY, SALT, sealed) is None


def test_records_of_another_suite():
    """The function of the suite is called with what dice.suites says, and with a ciphertext that overwrites the nonce."""
    calls = []
    cipher = lambda *given: calls.append(given), 13, 3, 16, 0, 16
    sealed = _dice.seal(cipher, KEY, SALT, 22, 1, 2, b"text")
    assert len(sealed) == 13 + 4 + 16 and sealed[:13] == b"\x16\xfe\xfd\0\1" + bytes(5) + b"\2\0\x14"
    _dice.open(cipher, KEY, SALT, sealed)
    assert calls[0] == (13, SALT, 16, sealed, 3, KEY, sealed, None, b"text")
    assert calls[1] == (13, SALT, 16, sealed, 3, KEY, sealed, None, None)


def test_what_no_record_can_have_is_refused():
    good = [CIPHER, KEY, SALT, 23, 1, 2, b"text"]
    wrong = {
        0: [(), CIPHER[:3], (_dice.crypt, 12, 3, 8), (_dice.crypt, 256, 13, 8), (_dice.crypt, 21, 13, 256)],
        3: [-1, 256],
        4: [-1, 1 << 16],
        5: [-1, -(1 << 40), 1 << 48, 1 << 61],
    }
    for at in wrong:
        for value in wrong[at]:
            refused(_VALUE, _dice.seal, *(good[:at] + [value] + good[at + 1 :]))
    for at in (0, 3, 4, 5, 6):
        for value in (None, "1"):
            refused(_TYPE, _dice.seal, *(good[:at] + [value] + good[at + 1 :]))
    for value in ((), CIPHER[:3]):
        refused(_VALUE, _dice.open, value, KEY, SALT, bytes(40))
    refused(_TYPE, _dice.open, None, KEY, SALT, bytes(40))
    refused(_TYPE, _dice.seal, *good[:6])
    refused(_TYPE, _dice.open, *good)


def test_rfc_6979():
    assert _dice.public(PRIVATE) == POINT
    for message, k, rs in (SAMPLE, TEST):
        h = digest(message)
        assert _dice.sign(PRIVATE, h, k) == rs
        assert _dice.verify(POINT, h, rs) is True
        assert _dice.verify(POINT, h, rs[:-1]) is False
    assert _dice.verify(POINT, h, SAMPLE[2]) is False
