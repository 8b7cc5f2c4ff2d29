# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 (SP 800-186, section 3.2.1.3) in pure Python, for stock firmware: key pairs, ECDH, ECDSA with a given nonce (FIPS 186-5).

**Not constant time**: the arithmetic is that of Python's integers, whose time depends on their values. An attacker who can measure
precisely how long a device computes learns about its private key. Where that is possible, use the native module `_dice`, whose
functions are the same; `curve` chooses it if it is installed.

A private key has 32 bytes, big-endian, from 1 to n - 1; a point 65: 4, X, Y; a digest 32; a signature 64: r, s.
"""

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _inverse(a, modulus):
    """Return the inverse of `a`, which is not 0."""
    return pow(a, modulus - 2, modulus)


def _scalar(data):
    """Return the number of a private key; raises ValueError if it is none."""
    d = int.from_bytes(data, "big")
    if len(data) != 32 or not 0 < d < _N:
        raise ValueError
    return d


def _point(data):
    """Return the affine coordinates of a point; raises ValueError if it is not on the curve."""
    x = int.from_bytes(data[1:33], "big")
    y = int.from_bytes(data[33:], "big")
    if len(data) != 65 or data[0] != 4 or x >= _P or y >= _P or (y * y - (x * x - 3) * x - _B) % _P:
        raise ValueError
    return x, y


def _add(left, right):
    """Return the sum of two affine points; None is the point at infinity."""
    if left is None:
        return right
    if right is None:
        return left
    x1, y1 = left
    x2, y2 = right
    if x1 == x2:
        if y1 != y2:
            return None
        slope = (3 * x1 * x1 - 3) * _inverse(2 * y1, _P)
    else:
        slope = (y2 - y1) * _inverse(x2 - x1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _multiple(k, point):
    """Return k times an affine point."""
    result = None
    while k:
        if k & 1:
            result = _add(result, point)
        point = _add(point, point)
        k >>= 1
    return result


def public(private):
    """Return the point of a private key."""
    x, y = _multiple(_scalar(private), _G)
    return b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def ecdh(private, point):
    """Return the 32 bytes that the owners of two keys share, the X coordinate (SP 800-56A, section 5.7.1.2)."""
    return _multiple(_scalar(private), _point(point))[0].to_bytes(32, "big")


def sign(private, digest, k):
    """Return r | s (FIPS 186-5, section 6.4.1) with the nonce `k` of 32 bytes, or None if it does not give a signature."""
    d = _scalar(private)
    k = _scalar(k)
    r = _multiple(k, _G)[0] % _N
    s = _inverse(k, _N) * (int.from_bytes(digest, "big") + r * d) % _N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") if r and s else None


def verify(point, digest, rs):
    """Return whether `rs` signs the digest (FIPS 186-5, section 6.4.2); False if the point is not one."""
    try:
        point = _point(point)
        r = _scalar(rs[:32])
        w = _inverse(_scalar(rs[32:]), _N)
    except ValueError:
        return False
    found = _add(_multiple(int.from_bytes(digest, "big") * w % _N, _G), _multiple(r * w % _N, point))
    return found is not None and found[0] % _N == r
