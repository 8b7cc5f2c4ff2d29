# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""First contact: two sides with raw public keys that do not know each other, until people have compared a code of six digits.

docs/protocol.md, section 17. The device is the DTLS client, and commits to its nonce before it learns that of the manager, as in
the numeric comparison of Bluetooth and in ZRTP (RFC 6189, section 4.4.1.1). So somebody in between has one guess of a million.

    commitment = SHA-256("dice contact commitment" | device_nonce | device | manager)
    code       = SHA-256("dice contact code" | device_nonce | manager_nonce | device | manager), its first 8 bytes, modulo 10^6

`device` and `manager` are SHA-256 of their SubjectPublicKeyInfo, and all but the labels have 32 bytes.
"""

from .._compat import const
from ..codes import ALERT_CERTIFICATE_UNKNOWN, ALERT_UNSUPPORTED_CERTIFICATE, EXTENSION_SERVER_CERTIFICATE_TYPE
from ..crypto import curve
from .kx_ecdsa import refuse, sha256_of
from .kx_rpk import RawPublicKey, read_key, write_key

CONTACT_NONCE_BYTES = const(32)


def commitment(device_nonce: bytes, device: bytes, manager: bytes) -> bytes:
    """Return what the device sends first, 32 bytes."""
    return sha256_of(b"dice contact commitment" + device_nonce + device + manager)


def code(device_nonce: bytes, manager_nonce: bytes, device: bytes, manager: bytes) -> str:
    """Return the code that both sides show, such as "012 345"."""
    digest = sha256_of(b"dice contact code" + device_nonce + manager_nonce + device + manager)
    digits = "%06d" % (int.from_bytes(digest[:8], "big") % 1000000)
    return digits[:3] + " " + digits[3:]


class FirstContact(RawPublicKey):
    """A client with a new key pair that accepts any server, for one attempt. Nothing of it is stored before people have compared.

    `server` is the point of the server, which has proved its key once the session is connected.
    """

    def __init__(self, random):
        """Make a key pair and a nonce; `random(n)` returns n random bytes."""
        self.server = b""
        self.private = curve.generate(random)
        super().__init__(self.private, (bytes(32),))
        self.nonce = random(CONTACT_NONCE_BYTES)

    def read_certificate(self, handshake, reader):
        """Return the server's point, whatever it is but ours; see Ecdsa."""
        if EXTENSION_SERVER_CERTIFICATE_TYPE not in handshake.theirs:
            refuse(ALERT_UNSUPPORTED_CERTIFICATE)
        self.server, handshake.identity = read_key(reader)
        if self.server == self.point:  # our own messages, sent back
            refuse(ALERT_CERTIFICATE_UNKNOWN)
        return self.server

    def commitment(self):
        """Return our commitment, for the server of this session."""
        return commitment(self.nonce, *self._names())

    def code(self, nonce):
        """Return the code to show, for the server's nonce."""
        return code(self.nonce, nonce, *self._names())

    def _names(self):
        return [sha256_of(write_key(point)[3:]) for point in (self.point, self.server)]
