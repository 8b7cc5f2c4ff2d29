# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""X.509 certificates, the client's half (RFC 5246, section 7.4.2; RFC 7925, section 4.4). `x509.chain` verifies them.

opaque ASN.1Cert<1..2^24-1>;
struct { ASN.1Cert certificate_list<0..2^24-1>; } Certificate;      the leaf first, each issuer behind what it has issued
"""

from .._typing import TYPING
from ..codes import ALERT_INTERNAL_ERROR, USAGE_SERVER
from ..limits import CERTIFICATES_BYTES_MAX
from ..wire import Reader
from ..x509 import chain as x509
from ..x509.der import require
from .kx_ecdsa import Ecdsa, allow

if TYPING:
    from collections.abc import Callable, Sequence


def write_chain(chain, point):
    """Return the body of a Certificate; raises UsageError if the first one does not contain our point."""
    allow(chain and point in chain[0])
    body = b""
    for certificate in chain:
        body += len(certificate).to_bytes(3, "big") + certificate
    return len(body).to_bytes(3, "big") + body


def read_chain(reader):
    """Return the certificates of a Certificate, bytes in DER."""
    certificates = Reader(reader.vector(3))
    reader.end()
    found = []
    while certificates.more():
        found.append(certificates.vector(3))
    return found


def seconds(credentials):
    """Return what the clock of some credentials says, an int, or None if there is none or it does not know.

    Raises PeerError if it fails: without a time that can be relied on, nobody is believed.
    """
    try:
        now = credentials.clock and credentials.clock()
        return now if now is None else int(now)
    except Exception as error:
        credentials.errors += 1
        credentials.error = error
        require(False, ALERT_INTERNAL_ERROR)


class Certificate(Ecdsa):
    """A client's private key and certificates, and the servers that it trusts. Each device has its own key.

    The server's certificate has to be for `name`, or, without one, for the `server_name` of connect(); without both, it has to be
    an anchor or a pinned key of `trust`. The `identity` of the session is the first name or address in its certificate, as bytes;
    `point` is our own public key.
    """

    bytes_max = CERTIFICATES_BYTES_MAX

    def __init__(
        self,
        private: "bytes | None",
        chain: "Sequence[bytes]",
        trust: "x509.Trust",
        name: "str | bytes | None" = None,
        *,
        clock: "Callable[[], int | None] | None",
    ) -> None:
        """Take what proves who we are, and what servers have to prove.

        * `private`: our key, 32 bytes, or None to prove nothing; `chain`: our certificate and its issuers up to the anchor,
          which it need not contain, in DER, at most 4 KB.
        * `trust`: a dice.Trust. `name`: a DNS name, an EUI-64, or 4 or 16 bytes of an address.
        * `clock`: a function that returns the seconds since 1970-01-01, or None as long as it does not know. None: this device has
          no clock, and `trust.since` decides what has expired. If it raises an exception, or returns something else, the
          handshake fails with the alert internal_error; `errors` counts that, and `error` is the last exception.

        Raises UsageError.
        """
        super().__init__(private)
        allow(name is None or isinstance(name, str) or len(name) in (4, 16))
        self._chain = write_chain(chain, self.point) if private else None
        self._trust = trust
        self._name = name
        self.clock = clock
        self.errors = 0
        self.error: BaseException | None = None

    def read_certificate(self, handshake, reader):
        """Return the server's point if its chain can be trusted; see Ecdsa."""
        name = self._name or (handshake.server_name and handshake.server_name.decode())
        leaf = x509.verify(read_chain(reader), self._trust, name, seconds(self), USAGE_SERVER)
        handshake.identity = (leaf.names or leaf.addresses or (b"",))[0]
        return leaf.point

    def certificate(self, handshake):
        """Return our chain; see Ecdsa."""
        return self._chain
