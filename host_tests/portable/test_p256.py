# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 in pure Python, its nonces and the encoding of its signatures: RFC 6979, and the cases at the edges."""

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
    assert not ecdsa.verify(POINT, digest(b""), der)
    for i in range(len(der)):
        assert not ecdsa.verify(POINT, h, der[:i])
