# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tests of the native module `_dice` that run on MicroPython, on each of its architectures: what it computes, and what it refuses.

Its results are compared with those of `ccm`, with RFC 6979 and with vectors; the portable tests of AES-CCM run with it as well.
"""

import _dice
from test_ccm import AAD, KEY, LENGTHS, SALT, noise
from test_p256 import POINT, PRIVATE, SAMPLE, TEST, N, digest

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
    assert _dice.VERSION == 1


def test_ccm_is_that_of_plain_python():
    for length in LENGTHS:
        plaintext = bytes(noise(length, 9))
        for aad in AAD if length < 1000 else AAD[:1]:
            aad = bytes(noise(aad, 1)) if isinstance(aad, int) else aad
            for tag_bytes in (4, 8, 16):
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


def test_rfc_6979():
    assert _dice.public(PRIVATE) == POINT
    for message, k, rs in (SAMPLE, TEST):
        h = digest(message)
        assert _dice.sign(PRIVATE, h, k) == rs
        assert _dice.verify(POINT, h, rs) is True
        assert _dice.verify(POINT, digest(b""), rs) is False
        assert _dice.verify(POINT, h, rs[:-1]) is False


def test_two_keys_share_a_secret():
    mine, theirs = bytes(31) + b"\2", PRIVATE
    assert _dice.ecdh(mine, _dice.public(theirs)) == _dice.ecdh(bytearray(theirs), memoryview(_dice.public(mine)))


def test_wrong_keys_are_refused():
    h, k = digest(b"sample"), SAMPLE[1]
    wrong = [bytes(32), N.to_bytes(32, "big"), b"\xff" * 32, PRIVATE[:-1], PRIVATE + b"\0", b""]
    for private in wrong:
        refused(_VALUE, _dice.public, private)
        refused(_VALUE, _dice.ecdh, private, POINT)
        refused(_VALUE, _dice.sign, private, h, k)
        refused(_VALUE, _dice.sign, PRIVATE, h, private)
    off = bytearray(POINT)
    off[-1] ^= 1
    high = bytearray(POINT)
    high[1:33] = b"\xff" * 32
    for point in (bytes(65), b"\2" + POINT[1:33], b"\6" + POINT[1:], POINT[1:], POINT + b"\0", off, high, b""):
        refused(_VALUE, _dice.ecdh, PRIVATE, point)
        assert _dice.verify(point, h, SAMPLE[2]) is False
    for rs in (bytes(64), SAMPLE[2][:32] + bytes(32), bytes(32) + SAMPLE[2][32:], N.to_bytes(32, "big") * 2, b""):
        assert _dice.verify(POINT, h, rs) is False
    for value in (None, 1, "1" * 32):
        for function, arguments in ((_dice.public, ()), (_dice.ecdh, (POINT,)), (_dice.sign, (h, k))):
            refused(_TYPE, function, value, *arguments)
            if arguments:
                refused(_TYPE, function, PRIVATE, value, *arguments[1:])
    refused(_VALUE, _dice.sign, PRIVATE, h[:-1], k)


def test_a_digest_of_zero_and_a_doubled_point():
    """The addition of points cannot do it: digest 0, which is nothing times G, and u1 * G = u2 * Q."""
    for h in (bytes(32), N.to_bytes(32, "big")):
        rs = _dice.sign(PRIVATE, h, SAMPLE[1])
        assert _dice.verify(POINT, h, rs) is True
        assert _dice.verify(POINT, digest(b""), rs) is False
    one = bytes(31) + b"\1"  # Q = G; with digest = r, both products are the same
    x = _dice.public(SAMPLE[1])[1:33]
    rs = _dice.sign(one, x, SAMPLE[1])
    assert rs[:32] == x and _dice.verify(_dice.public(one), x, rs) is True
    opposite = (N - int.from_bytes(x, "big")).to_bytes(32, "big")  # their sum is the point at infinity
    assert _dice.sign(one, opposite, SAMPLE[1]) is None
    assert _dice.verify(_dice.public(one), opposite, x + one) is False
