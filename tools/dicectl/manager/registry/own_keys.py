# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The key pair of the manager itself, which devices with a raw public key know it by. Its private key is in the registry.

Its certificate is of the same key, until it gets one of its own: devices with certificates know the manager by its name, so that
key can be changed, while the other one stays.

So a standby, and a manager that is restored from a backup, are the same for devices; and a key file encrypts it as it does others.
"""

import hashlib
import os

from dice.crypto import curve
from dicectl.manager.registry.public_keys import CERTIFICATE, RPK

# SubjectPublicKeyInfo of P-256 (RFC 5480), in front of the 65 bytes of an uncompressed point.
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
POINT_BYTES = 65


def private(registry):
    """Return the private key of the manager, 32 bytes; make it if there is none, as in the registry of an older program."""
    found = registry.own_key(RPK)
    if found is None:
        found = curve.generate(os.urandom)
        registry.store_own_key(RPK, found)
    return found


def point(registry):
    """Return the public key of the manager, a point of 65 bytes."""
    return curve.public(private(registry))


def certified(registry):
    """Return the private key of the manager's certificate, 32 bytes."""
    return registry.own_key(CERTIFICATE) or private(registry)


def fingerprint(point):
    """Return the fingerprint of a public key, SHA-256 of its SubjectPublicKeyInfo; raises ValueError if it is none."""
    if len(point) != POINT_BYTES:
        raise ValueError
    curve.ecdh(b"\1".rjust(32, b"\0"), point)  # which refuses what is not on the curve
    return hashlib.sha256(_SPKI + bytes(point)).digest()
