# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""More tests of P-256 in the native module `_dice`: keys, points and signatures at the edges. They take a minute on an RP2040."""

import _dice
from native_cases import refused
from test_p256 import POINT, PRIVATE, SAMPLE, N, digest

_TYPE, _VALUE = "TypeError", "ValueError"


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
