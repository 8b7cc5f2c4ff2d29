# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 in pure Python, its nonces and the encoding of its signatures: RFC 6979, and the cases at the edges."""

import sys

from support import raises

from dice._compat import MICROPYTHON
from dice.crypto import curve, ecdsa, p256, sha256

# RFC 6979, appendix A.2.5: SHA-256 of "sample" and of "test".
PRIVATE = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
POINT = b"\4" + bytes.fromhex(
    "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB67903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299"
)
SAMPLE = (
    b"sample",
    bytes.fromhex("A6E3C57DD01ABE90086538398355DD4C3B17AA873382B0F24D6129493D8AAD60"),
    bytes.fromhex(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    ),
)
TEST = (
    b"test",
    bytes.fromhex("D16B6AE827F17175E040871A1C7EC3500192C4C92677336EC2537ACAEE0008E0"),
    bytes.fromhex(
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367"
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083"
    ),
)
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def digest(message):
    """Return SHA-256 of a message."""
    hash_ = sha256()
    hash_.update(message)
    return hash_.digest()


def test_rfc_6979():
    assert p256.public(PRIVATE) == POINT
    for message, k, rs in (SAMPLE, TEST):
        h = digest(message)
        assert next(curve.nonces(PRIVATE, h, b"")) == k
        assert p256.sign(PRIVATE, h, k) == rs
    assert p256.verify(POINT, h, rs)
    assert not p256.verify(POINT, digest(b""), rs)


def test_a_signature_in_der():
    h = digest(b"message")
    der = ecdsa.sign(PRIVATE, h, lambda count: bytes(range(count)))
    assert ecdsa.verify(POINT, h, der)
    for i in range(len(der)):
        assert not ecdsa.verify(POINT, h, der[:i])
    for changed in (b"\x31" + der[1:], der + b"\0", der[:1] + b"\x81" + der[1:], der[:3] + b"\x80" + der[4:]):
        assert not ecdsa.verify(POINT, h, changed)


def octets(k):
    """Return a number as 32 bytes."""
    return k.to_bytes(32, "big")


def test_private_keys_at_the_edges():
    base = p256.public(octets(1))
    assert base[:6] == b"\4\x6b\x17\xd1\xf2\xe1"
    opposite = p256.public(octets(N - 1))
    assert opposite[:33] == base[:33] and opposite[33:] != base[33:]
    # The last addition is of equal points.
    assert p256.ecdh(octets(N - 2), base) == p256.public(octets(2))[1:33]
    for wrong in (bytes(32), octets(N), b"\xff" * 32, b"\1", bytes(33)):
        raises(ValueError, None, p256.public, wrong)
        raises(ValueError, None, p256.ecdh, wrong, base)
        raises(ValueError, None, p256.sign, wrong, bytes(32), octets(1))
        raises(ValueError, None, p256.sign, octets(1), bytes(32), wrong)


def test_a_source_of_the_same_number_makes_no_key_and_does_not_hang():
    for wrong in (b"\0", b"\xff"):
        raises(ValueError, None, curve.generate, lambda count, wrong=wrong: wrong * count)


def test_points_and_signatures_that_are_none():
    for wrong in (b"", b"\0", bytes(65), POINT[:-1], POINT + b"\0", b"\2" + POINT[1:33], b"\5" + POINT[1:], POINT[:-1] + b"\0"):
        raises(ValueError, None, p256.ecdh, octets(1), wrong)
        assert not p256.verify(wrong, bytes(32), octets(1) * 2)
    for rs in (b"", octets(1), bytes(64), octets(1) + bytes(32), octets(N) + octets(1), octets(1) + octets(N), octets(1) * 3):
        assert not p256.verify(POINT, bytes(32), rs)


def test_a_sum_that_is_infinity_verifies_nothing():
    """h = 1, r = 1, s = 1 and Q = -G: u1 G + u2 Q is the point at infinity."""
    assert not p256.verify(p256.public(octets(N - 1)), octets(1), octets(1) * 2)


def test_machine_code_equals_plain_python():
    """Both leave the same numbers in the registers."""
    if not MICROPYTHON or not sys.implementation._mpy >> 10:
        return
    from dice.crypto import p256_plain, p256_viper

    seed = sha256()
    seed.update(b"registers")
    block = seed.digest()
    registers = bytearray(576)
    for i in range(10):
        registers[34 * i : 34 * i + 32] = block[i:] + block[:i]
    registers[374:408] = (p256_field() << 4).to_bytes(34, "little")
    registers[:34] = (p256_field() << 5).to_bytes(34, "little")  # a limb more
    other = bytearray(registers)
    for program in (b"\x00\x00\x0f", b"\x02\x34\x12\x23\xf5\x12\x05\x55\x86\x56\x0f", b"\xf1\xa5\xe2\xa6\x07\x12\x0f"):
        p256_viper.run(0, 0, program, registers)
        p256_plain.run(0, 0, program, other)
        assert registers[:408] == other[:408]


def p256_field():
    """Return p."""
    return (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
