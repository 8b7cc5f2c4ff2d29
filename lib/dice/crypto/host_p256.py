# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 for CPython, by the `cryptography` package, with the functions of `p256`; no board carries it.

A signature's nonce is OpenSSL's own: it depends on the private key, the digest and randomness, as that of `curve` does.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def _algorithm():
    return ec.ECDSA(Prehashed(SHA256()))


def _key(private):
    """Return a private key; raises ValueError if it is none."""
    if len(private) != 32:
        raise ValueError
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1())


def _point(point):
    """Return a public key; raises ValueError if the point is not on the curve, or compressed."""
    if len(point) != 65:
        raise ValueError
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes(point))


def public(private):
    """Return the point of a private key."""
    return _key(private).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def ecdh(private, point):
    """Return the 32 bytes that the owners of two keys share."""
    return _key(private).exchange(ec.ECDH(), _point(point))


def sign(private, digest):
    """Return r | s with a nonce of OpenSSL's."""
    r, s = decode_dss_signature(_key(private).sign(bytes(digest), _algorithm()))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(point, digest, rs):
    """Return whether `rs` signs the digest; False if the point is not one."""
    if len(rs) != 64:
        return False
    der = encode_dss_signature(int.from_bytes(rs[:32], "big"), int.from_bytes(rs[32:], "big"))
    try:
        _point(point).verify(der, bytes(digest), _algorithm())
    except (InvalidSignature, ValueError):
        return False
    return True
