# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys, the server's half; see `kx_rpk`."""

from .._typing import TYPING
from ..codes import ALERT_CERTIFICATE_UNKNOWN
from .kx_ecdsa import refuse
from .kx_ecdsa_server import EcdsaServer
from .kx_rpk import RAW_PUBLIC_KEY, read_key, write_key

if TYPING:
    from collections.abc import Callable


class RawPublicKeyServer(EcdsaServer):
    """A server's private key, and which clients may connect.

    `find` is a function from the identity of a client, which is the SHA-256 of its SubjectPublicKeyInfo (kx_rpk.identity_of()
    computes it), to something true as long as this client may connect. It is called more than once for a session, as that of a
    PskLookup is: so what it returns ends sessions and their resumption too. Without `find`, clients prove nothing, and the
    identity of all of them is b"".

    An identity for which `find` raises an exception counts as unknown in that handshake. `errors` counts these, and `error` is the
    last exception. `point` is our own public key.
    """

    certificate_type = RAW_PUBLIC_KEY
    kind = b"rpk"

    def __init__(self, private: bytes, find: "Callable[[bytes], object] | None" = None) -> None:
        """Take `private`, 32 bytes; raises UsageError."""
        super().__init__(private, find)

    def certificate(self):
        """Return our public key; see EcdsaServer."""
        return write_key(self.point)

    def read_certificate(self, handshake, reader):
        """Return the client's point if it may connect; see EcdsaServer."""
        point, handshake.identity = read_key(reader)
        handshake.credential = handshake.current(handshake.identity)
        if not handshake.credential:
            refuse(ALERT_CERTIFICATE_UNKNOWN)
        return point

    def credential(self, identity, found):
        """Return the identity, which is that of one key; see EcdsaServer."""
        return identity
