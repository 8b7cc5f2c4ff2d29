# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""X.509 certificates, the server's half; see `kx_cert`."""

from .._typing import TYPING
from ..codes import ALERT_CERTIFICATE_UNKNOWN, USAGE_CLIENT
from ..limits import CERTIFICATES_BYTES_MAX
from ..x509 import chain as x509
from .kx_cert import read_chain, seconds, write_chain
from .kx_ecdsa import allow, refuse, sha256_of
from .kx_ecdsa_server import EcdsaServer

if TYPING:
    from collections.abc import Callable, Sequence


def _anybody(name):
    return True


class CertificateServer(EcdsaServer):
    """A server's private key and certificates, and which clients may connect.

    With `trust`, clients prove who they are: the identity of a session is the first name in the client's certificate. `find` is a
    function from this name (bytes) to something true as long as this client may connect; if that is bytes, they are the SHA-256 of
    the SubjectPublicKeyInfo that its certificate has to have. It is called more than once for a session, as that of a PskLookup is:
    so what it returns ends sessions and their resumption too. Without `find`, whoever has a certificate may connect; an AnyOf needs
    a `find`, which tells names from identities of other kinds. Without `trust`, clients prove nothing, and the identity of all of
    them is b"".

    A certificate that expires ends no session, as what `find` returns does. But sessions are resumed for two days at the most after
    the handshake that has verified the certificate.

    A name for which `find` raises an exception counts as unknown in that handshake, and if `clock` does, the handshake fails.
    `errors` counts these, and `error` is the last exception. `point` is our own public key.
    """

    certificate_type = b"\0"
    kind = b"x509"

    def __init__(
        self,
        private: bytes,
        chain: "Sequence[bytes]",
        trust: "x509.Trust | None" = None,
        find: "Callable[[bytes], object] | None" = None,
        *,
        clock: "Callable[[], int | None] | None",
    ) -> None:
        """Take our key and chain, and `trust` and `clock`, as a Certificate does; raises UsageError."""
        allow(trust or not find)
        super().__init__(private, (find or _anybody) if trust else None)
        self._chain = write_chain(chain, self.point)
        self._trust = trust
        self.clock = clock
        if trust:
            self.bytes_max = CERTIFICATES_BYTES_MAX

    def certificate(self):
        """Return our chain; see EcdsaServer."""
        return self._chain

    def read_certificate(self, handshake, reader):
        """Return the client's point if its chain can be trusted, and it may connect; see EcdsaServer."""
        leaf = x509.verify(read_chain(reader), self._trust, None, seconds(self), USAGE_CLIENT)
        handshake.identity = leaf.names[0]
        handshake.credential = credential = handshake.current(handshake.identity)
        if credential not in (b"\1", sha256_of(leaf.spki)):
            refuse(ALERT_CERTIFICATE_UNKNOWN)
        return leaf.point

    def credential(self, identity, found):
        """Return the fingerprint of the key that the client has to have, or something that stands for any; see EcdsaServer."""
        return bytes(found) if isinstance(found, (bytes, bytearray, memoryview)) else b"\1"
