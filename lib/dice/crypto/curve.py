# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The back end of P-256, chosen once: the native module `_dice`, else `p256` in pure Python; on CPython `host_p256`.

A module `_dice` of another version raises ImportError: there is no silent fallback to slower, leakier code.

    name()                          the back end in use
    generate(random)                a new private key
    public(private)                 its point
    ecdh(private, point)            the secret that two keys share, 32 bytes
    sign(private, digest, random)   r | s, 64 bytes
    verify(point, digest, rs)       whether r | s is a signature

A private key has 32 bytes, big-endian, from 1 to n - 1; a point 65: 4, X, Y; a digest 32. `random(n)` returns n bytes. Other
private keys, and points that are not on the curve, raise ValueError; with such a point `verify` returns False.
"""

from .._compat import MICROPYTHON
from ..codes import NATIVE_VERSION
from .hmac import Hmac

_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

if MICROPYTHON:
    try:
        import _dice as _back
    except ImportError:
        from . import p256 as _back
    else:
        if _back.VERSION != NATIVE_VERSION:
            raise ImportError("_dice is of another version: deploy it again")
else:
    from . import host_p256 as _back

public = _back.public
ecdh = _back.ecdh
verify = _back.verify


def name():
    """Return the back end in use: native (`_dice`), pure (`p256`) or host (`cryptography`)."""
    return {"_dice": "native", "host_p256": "host"}.get(_back.__name__.split(".")[-1], "pure")


def generate(random):
    """Return a new private key, by rejection (FIPS 186-5, appendix A.2.2); raises ValueError if `random` returns the like of 0."""
    for _ in range(9):  # good numbers are rejected nine times in a row once in 2^288
        private = random(32)
        if 0 < int.from_bytes(private, "big") < _N:
            return private
    raise ValueError("random")


def nonces(private, digest, noise):
    """Yield the nonces of RFC 6979, section 3.2, with `noise` in front of the key as in draft-irtf-cfrg-det-sigs-with-noise.

    Without noise they are those of RFC 6979. With 31 bytes of it, the private key starts a block of SHA-256. So a signature needs
    no good random numbers to be safe, and computing its nonce twice does not process the same blocks twice.
    """
    # bits2octets (section 2.3.4): both have 256 bits.
    h = (int.from_bytes(digest, "big") % _N).to_bytes(32, "big")
    key = bytes(32)
    v = b"\1" * 32
    for step in (b"\0", b"\1"):
        key = Hmac(key).digest(v, step, noise, private, h)
        v = Hmac(key).digest(v)
    while True:
        v = Hmac(key).digest(v)
        if 0 < int.from_bytes(v, "big") < _N:
            yield v
        key = Hmac(key).digest(v, b"\0")
        v = Hmac(key).digest(v)


if MICROPYTHON:

    def sign(private, digest, random):
        """Return r | s of FIPS 186-5, section 6.4.1."""
        rs = None
        nonce = nonces(private, digest, random(31))
        while not rs:
            rs = _back.sign(private, digest, next(nonce))
        return rs
else:

    def sign(private, digest, random):
        """Return r | s, with the noise of the `cryptography` package."""
        return _back.sign(private, digest)
