# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 (SP 800-186, section 3.2.1.3) in Python, for stock firmware: key pairs, ECDH, ECDSA with a given nonce (FIPS 186-5).

**Not constant time.** In machine code, arithmetic modulo p takes the same time for all values, and a multiplication by a secret
is always the same sequence of doublings and additions. But arithmetic modulo n, inversions and conversions are those of
Python's integers, whose time depends on their values, and which nothing can overwrite. An attacker who can measure precisely
how long a device computes, or its power, may learn about its private key. Where that is possible use the native module `_dice`,
which has the same functions; `curve` chooses it if it is installed.

A private key has 32 bytes, big-endian, from 1 to n - 1; a point 65: 4, X, Y; a digest 32; a signature 64: r, s.

How it works. `run` runs programs of additions and multiplications modulo p on registers of 34 bytes, in Montgomery form: of
`p256_viper` in machine code, else of `p256_plain`. Registers 0 to 2 are the sum, a point in Jacobian coordinates, 3 to 5 an
operand, 6 to 9 are scratch, 10 is 0, 11 is 16p. Numbers are not reduced completely: a product is below 2p, X below 19p, Y at
most 16p; what is subtracted must not exceed 16p, and factors not 64p.

A multiple of G comes from a comb: 544 bytes of constants, which are in RAM from the import on unless they are frozen, and 64
doublings and additions. Of another point the odd multiples are made first (816 bytes of RAM during the call); then four bits of
the number are taken at a time. A verification does both in one pass (Shamir's trick). Numbers are written with the digits 1 and
-1, so there is always something to add.
"""

from .._compat import MICROPYTHON

if MICROPYTHON:
    import sys

    if sys.implementation._mpy >> 10:
        from .p256_viper import run
    else:
        from .p256_plain import run
else:
    from .p256_plain import run

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B

# Programs; see p256_plain. Doubling is dbl-2001-b of the Explicit-Formulas Database, adding add-1998-cmo-2 with the differences
# the other way round, so that none is subtracted from a small number.
_DOUBLE = (
    b"\x06\x22\x07\x11\x08\x07\xf9\x06\x16\x06\x09\x96\x29\x99"  # 6=2*2  7=1*1  8=0*7  9=0-6  6=0+6  9=9*6  9=9+2.9
    b"\x02\x12\x12\x22\x38\x88\x00\x99\xe0\x08\xf8\x08\x08\x98"  # 2=1*2  2=2+2  8=8+3.8  0=9*9  0=0-2.8  8=0-8  8=9*8
    b"\x07\x77\x88\x87\xf1\xa8"  # 7=7*7  8=8+8.7  1=zero-8
    b"\x0f"
)
# Register 8 becomes the square of S1 - S2, which is 0 if the points are equal.
_ADD = (
    b"\x07\x55\x00\x07\x07\x57\x01\x17\x06\x22\x03\x36\x06\x26"  # 7=5*5  0=0*7  7=5*7  1=1*7  6=2*2  3=3*6  6=2*6
    b"\x04\x46\xf3\x03\xf4\x14\x02\x23\x06\x33\x03\x36\x06\x06"  # 4=4*6  3=0-3  4=1-4  2=2*3  6=3*3  3=3*6  6=0*6
    b"\x01\x13\x08\x44\x17\x83\xe0\x76\xf6\x06\x06\x46\x16\x61"  # 1=1*3  8=4*4  7=8+3  0=7-2.6  6=0-6  6=4*6  6=6+1
    b"\xf1\xa6\x02\x25"  # 1=zero-6  2=2*5
    b"\x0f"
)
_ADD_AFFINE = (
    b"\x06\x22\x03\x36\x06\x26\x04\x46\xf3\x03\xf4\x14\x02\x23"  # 6=2*2  3=3*6  6=2*6  4=4*6  3=0-3  4=1-4  2=2*3
    b"\x06\x33\x03\x36\x06\x06\x01\x13\x08\x44\x17\x83\xe0\x76"  # 6=3*3  3=3*6  6=0*6  1=1*3  8=4*4  7=8+3  0=7-2.6
    b"\xf6\x06\x06\x46\x16\x61\xf1\xa6"  # 6=0-6  6=4*6  6=6+1  1=zero-6
    b"\x0f"
)
_NEGATE = b"\xf4\xa4"  # 4=zero-4

# 2^192 G +- 2^128 G +- 2^64 G +- G, affine; bit i of the index says that 2^64i G is added.
_COMB = (
    b"\x22\x52\xe0\x44\x08\x67\xc9\xa7\xd8\x52\x9d\xa2\x46\x9d\xdc\x3b\xe3\x00\x61\x73\xdb\x4b\x48\x28\x1b\xbd\x4c\x30\xe7\xe3\x21\xc8\x00\x00"
    b"\x2e\xbe\x25\xfc\x73\xdf\x44\x29\x6d\xea\x1b\xc8\x27\x44\x54\x0f\x4c\xa0\xa8\x88\xe4\xef\x97\xdc\x7e\x6b\xdd\x60\xd3\x3e\x90\x15\x00\x00"
    b"\x43\x8f\x73\xe6\x13\x2b\xee\x11\x85\xfc\x24\xed\xc0\x41\xee\x8d\xc5\xff\xb8\x99\x7e\xea\x3a\x52\xdf\x80\x16\x8a\x3f\xda\x39\xea\x00\x00"
    b"\x0d\x18\x0b\x3d\xf3\xc5\xbc\x2d\x4e\x8f\x81\x16\x9d\xb8\xfa\x99\xc0\x3b\xf1\x9d\xff\x79\x41\x7b\xae\xe7\xc4\x57\x98\xed\x9d\xe0\x00\x00"
    b"\xd6\x83\xa5\xcd\xd1\x8b\x52\x07\x43\x56\xa5\xed\x2f\x0a\x7f\x57\x07\x18\xe9\x96\x68\x95\x9b\x69\xc6\x85\xb4\xef\xc6\x75\x3e\x09\x00\x00"
    b"\xa2\xf5\x1c\x06\x97\xed\x7e\xf1\x5a\xef\x3c\x4c\x6b\x0d\xb7\x77\xb9\x35\x39\x94\x22\x49\xa2\x75\x58\x8c\x5c\xd3\x58\x96\x71\x20\x00\x00"
    b"\xd2\x16\xf1\x1c\xf8\x74\x65\x53\x4c\x81\x5b\x06\x4e\xea\xf6\xaf\x0b\xe3\x21\x26\x13\x15\x56\x12\xdc\x69\x88\x07\x7a\x4d\xcb\xb8\x00\x00"
    b"\x4d\x9c\xca\x0b\xc5\xec\x97\x46\xd1\x33\x21\xdd\x61\x7b\xaf\xdf\xa9\x19\x66\xf7\xc3\xed\xc7\xbc\xf2\xb5\xfc\x5a\x1c\x4f\xde\xe6\x00\x00"
    b"\xd5\x36\x6d\x9f\x0d\xcf\xe6\xa9\x05\x53\x21\xb0\xd4\x4a\x2f\x17\x39\x58\xcf\x87\xc6\x75\xdd\xa4\xd2\x95\x2f\xe2\x20\xbb\x3e\x9b\x00\x00"
    b"\x64\x0e\xe9\x53\x1a\x11\x62\x7e\xce\xca\xa1\xf3\xff\xe1\xd4\x43\xc8\x91\xda\x12\xa8\x0d\xf0\xe5\x13\xb1\x76\x31\xe3\x51\x9c\xaf\x00\x00"
    b"\xc7\x91\x7d\x51\x07\xcf\xbb\x68\xd5\xdb\xb9\x30\xa1\x28\xa2\xfb\x1a\x2f\xa6\xc2\xc4\xe6\x7c\x80\xef\x83\xee\x6a\x5d\x76\xbd\xea\x00\x00"
    b"\xfd\x15\xe6\xb6\xb2\xd6\x1b\xea\x6d\x71\x4b\x5b\xfb\x03\xd1\x43\x8c\x24\x2a\x5e\x31\x4a\x60\xfd\xdf\x00\x0b\x3d\x28\xdd\x03\xd3\x00\x00"
    b"\x7a\xd1\xd5\xdf\xb7\x42\xf4\xf9\x0b\xe4\x2a\x4f\x19\x5c\xf2\x89\x36\x67\x0b\xf5\xa6\x30\xb4\xbe\x9a\xb1\x4d\xc6\xe8\x68\xbd\xf2\x00\x00"
    b"\xdd\x95\xf1\xdd\xe7\x1e\x4f\x6c\xf6\x39\x3c\x37\x0d\xd3\x8a\xe1\x68\x7f\x86\xb1\xd0\x53\xf2\xc1\x89\xbb\x13\x8f\xc2\x11\x02\xa6\x00\x00"
    b"\x59\x29\x74\x30\x91\x42\x56\xe3\x5a\x0d\xb1\x42\x4c\x1f\x27\x1b\x49\x55\x2a\x73\x10\xb3\x65\xa6\x43\x1d\xc1\x4c\x73\x88\x52\x1d\x00\x00"
    b"\x76\x63\x3f\x98\x4f\xb8\x6b\x5b\x6f\xe7\xe1\x84\xe9\x3b\x41\xef\x7e\xbe\x89\xa1\xba\x80\x96\xd4\x8a\xae\x2b\x33\x65\x7c\x1f\x55\x00\x00"
)


def _inverse(a, modulus):
    """Return the inverse of `a`, or 0 if it has none."""
    b = a % modulus
    a = modulus
    s, t = 0, 1
    while b:
        q, c = divmod(a, b)
        a, b = b, c
        s, t = t, s - q * t
    return s % modulus


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


def _mont(x):
    """Return a register's bytes: x 2^272 modulo p."""
    return ((x << 272) % _P).to_bytes(34, "little")


def _is_zero(r, register):
    """Return whether a register is 0 modulo p: 0, p or 2p, since it is a product or, of a point that was doubled, twice one."""
    at = 34 * register
    return r[at] in b"\0\xfe\xff" and not int.from_bytes(r[at : at + 34], "little") % _P


def _add(r, table, size, digits):
    """Add an entry of a table to the sum, by four binary digits: 1111 is the last entry, 1000 the first, 0111 minus the first.

    The point at infinity has Z = 0.
    """
    i = int(digits, 2) - 8
    negative = i < 0
    if negative:
        i = ~i
    r[102 : 102 + size] = table[i * size : i * size + size]
    if negative:
        run(0, 0, _NEGATE, r)
    if _is_zero(r, 2):
        r[:102] = r[102:204]
        if size == 68:
            r[68:102] = _mont(1)
        return
    run(0, 0, _ADD_AFFINE if size == 68 else _ADD, r)
    if _is_zero(r, 2) and _is_zero(r, 8):
        _add(r, table, size, digits)
        run(0, 0, _DOUBLE, r)


def _digits(k):
    """Return 256 digits, "1" for 1 and "0" for -1, the highest one first."""
    if not k & 1:
        k -= _N
    return bin((k >> 1) + (3 << 255))[3:]


def _sum(k, point=None, u=0):
    """Return the affine coordinates of k G + u point, (0, 0) for the point at infinity; a `k` of 0 takes no time."""
    r = bytearray(576)
    r[374:408] = (_P << 4).to_bytes(34, "little")
    if point:
        of_u = _digits(u)
        r[:102] = _mont(point[0]) + _mont(point[1]) + _mont(1)
        table = r[:102]
        run(0, 0, _DOUBLE, r)
        twice = r[:102]
        r[:102] = table
        for _ in range(7):
            _add(r, twice, 102, "1000")
            table += r[:102]
        r[68:102] = bytes(34)
    if k:
        of_k = _digits(k)
    for i in range(0 if point else 192, 256):
        run(0, 0, _DOUBLE, r)
        if point and i & 3 == 3:
            _add(r, table, 102, of_u[i - 3 : i + 1])
        if k and i >= 192:
            _add(r, _COMB, 68, of_k[i - 192] + of_k[i - 128] + of_k[i - 64] + of_k[i])
    z = _inverse(int.from_bytes(r[68:102], "little"), _P)
    t = (z << 272) % _P
    z = z * t % _P
    return int.from_bytes(r[:34], "little") * z % _P, int.from_bytes(r[34:68], "little") * z % _P * t % _P


def public(private):
    """Return the point of a private key."""
    x, y = _sum(_scalar(private))
    return b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")


def ecdh(private, point):
    """Return the 32 bytes that the owners of two keys share, the X coordinate (SP 800-56A, section 5.7.1.2)."""
    return _sum(0, _point(point), _scalar(private))[0].to_bytes(32, "big")


def sign(private, digest, k):
    """Return r | s (FIPS 186-5, section 6.4.1) with the nonce `k` of 32 bytes, or None if it does not give a signature."""
    d = _scalar(private)
    k = _scalar(k)
    r = _sum(k)[0] % _N
    s = _inverse(k, _N) * (int.from_bytes(digest, "big") + r * d) % _N
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") if r and s else None


def verify(point, digest, rs):
    """Return whether `rs` signs the digest (FIPS 186-5, section 6.4.2); False if the point is not one."""
    try:
        r = _scalar(rs[:32])
        w = _inverse(_scalar(rs[32:]), _N)
        return _sum(int.from_bytes(digest, "big") * w % _N, _point(point), r * w % _N)[0] % _N == r
    except ValueError:
        return False
