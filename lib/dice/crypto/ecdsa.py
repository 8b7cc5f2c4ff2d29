# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ECDSA signatures with P-256 in DER (RFC 3279, section 2.2.3), as TLS and certificates carry them.

    Ecdsa-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }

Reading is strict: a signature has one encoding (X.690, sections 8.3 and 10.1), and any other is refused.
"""

from . import curve


def _integer(number):
    """Return 32 bytes as a DER INTEGER."""
    number = number.lstrip(b"\0")
    if number[0] & 0x80:
        number = b"\0" + number
    return bytes((2, len(number))) + number


def sign(private, digest, random):
    """Return the signature of a 32-byte digest, 8 to 72 bytes of DER; raises ValueError if the private key is none."""
    rs = curve.sign(private, digest, random)
    both = _integer(rs[:32]) + _integer(rs[32:])
    return bytes((0x30, len(both))) + both


def raw(der):
    """Return r | s of a signature, or None if it is not DER; raises IndexError if it is too short."""
    rs = b""
    at = 2
    for _ in range(2):
        end = at + 2 + der[at + 1]
        number = der[at + 2 : end]
        if der[at] != 2 or number[0] & 0x80 or (number[0] == 0 and number[1] < 0x80):
            return None
        number = int.from_bytes(number, "big")
        if number >> 256:
            return None
        rs += number.to_bytes(32, "big")
        at = end
    return rs if der[0] == 0x30 and der[1] == at - 2 and at == len(der) else None


def verify(point, digest, der):
    """Return whether `der` is a signature of a 32-byte digest by the key with this point; False if one of them is malformed."""
    try:
        rs = raw(der)
    except IndexError:
        return False
    return bool(rs) and curve.verify(point, digest, rs)
