# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""HMAC-SHA256 (RFC 2104) and P_SHA256, the TLS 1.2 pseudorandom function (RFC 5246, section 5)."""

from .._compat import const
from . import sha256

_BLOCK = const(64)
_IPAD = int.from_bytes(b"\x36" * _BLOCK, "big")
_OPAD = int.from_bytes(b"\x5c" * _BLOCK, "big")


class Hmac:
    """HMAC-SHA256 with one key, whose two padded forms are kept for further messages."""

    def __init__(self, key):
        if len(key) > _BLOCK:
            inner = sha256()
            inner.update(key)
            key = inner.digest()
        # The key is at the front of the block, so at the top of the integer.
        number = int.from_bytes(key, "big") << 8 * (_BLOCK - len(key))
        self._inner = (number ^ _IPAD).to_bytes(_BLOCK, "big")
        self._outer = (number ^ _OPAD).to_bytes(_BLOCK, "big")

    def digest(self, *parts):
        """Return the 32-byte MAC of the concatenation of `parts`."""
        inner = sha256()
        inner.update(self._inner)
        for part in parts:
            inner.update(part)
        outer = sha256()
        outer.update(self._outer)
        outer.update(inner.digest())
        return outer.digest()


def p_sha256(secret, seed, length):
    """Return `length` bytes of P_SHA256(secret, seed); the PRF of TLS puts a label in front of the seed."""
    hmac = Hmac(secret)
    out = bytearray()
    a = seed
    while len(out) < length:
        a = hmac.digest(a)
        out.extend(hmac.digest(a, seed))
    return out[:length]
