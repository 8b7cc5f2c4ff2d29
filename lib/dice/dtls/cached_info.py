# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cached_info extension for a server's certificates or raw public key, the client's half (RFC 7924).

    struct { CachedInformationType type = cert(1); opaque hash_value<1..255>; } CachedObject;      of a client
    struct { CachedInformationType type; } CachedObject;                                          of a server
    struct { CachedObject cached_info<1..2^16-1>; } CachedInformation;
    struct { opaque hash_value<1..255>; } Certificate;                                            instead of the known one

A client that has the server's Certificate sends its fingerprint: SHA-256 of the message with type and length, as TLS has it. If the
server would send just that one, it sends the fingerprint instead. A server that has another one sends it in full.

The extension has 40 bytes in a hello of a client and 7 in that of the server, and saves all but 33 bytes of the Certificate.
For one as short as a raw public key (94 bytes) it is in the hello with the cookie alone, so that it pays: a server that sends
no HelloVerifyRequest sends such a key in full. RFC 6347, section 4.2.1, lists what must be equal in both hellos, and extensions
are not in the list. An observer of its hellos learns which server a client knows.
"""

from .._compat import const
from .._typing import TYPING
from ..codes import ALERT_ILLEGAL_PARAMETER, EXTENSION_CACHED_INFO, HANDSHAKE_CERTIFICATE
from ..crypto import sha256
from ..errors import PeerError
from ..reasons import E_ILLEGAL
from .extensions import CLIENT_HELLO

if TYPING:
    from .handshake import KeyExchange
    from .session import Session

CERT = b"\1"  # a CachedInformationType
_SHORT_BYTES = const(120)  # of a Certificate: twice 40, 7 and 33
ACCEPTED = b"\0\1\1"  # what a server writes


def fingerprint(body):
    """Return the fingerprint of a Certificate with this body, behind its length: the body of the Certificate that replaces it."""
    running = sha256()
    running.update(bytes((HANDSHAKE_CERTIFICATE,)) + len(body).to_bytes(3, "big"))
    running.update(body)
    return b"\x20" + running.digest()


class Cached:
    """A client's RawPublicKey or Certificate, and the Certificate of one server that is `known`, bytes, b"" for none.

        credentials = dice.Cached(dice.Certificate(...), known)
        connection = await dice.connect(address, credentials)
        if credentials.keep(connection.session):
            dice.replace_file("server.cached", credentials.known)

    `known` comes from provisioning, or from an earlier session. It is verified in each handshake, as if the server had sent it: so
    it does not outlive its trust, its validity or its name.
    """

    def __init__(self, credentials: "KeyExchange", known: bytes = b"") -> None:
        self._credentials = credentials
        self.known = known
        self._seen = b"", None  # the Certificate that was read last, and the Secrets of its handshake
        self.extensions = credentials.extensions + ((EXTENSION_CACHED_INFO, self._write, self._read, CLIENT_HELLO),)

    def __getattr__(self, name):
        return getattr(self._credentials, name)

    def keep(self, session: "Session") -> bool:
        """Keep the Certificate of a session that has just connected; return whether `known` has changed."""
        body, secrets = self._seen
        self._seen = b"", None
        if not session.connected or secrets is not session.secrets or body == self.known:
            return False
        self.known = body
        return True

    def read(self, handshake, kind, body):
        """See KeyExchange."""
        if kind == HANDSHAKE_CERTIFICATE:
            if EXTENSION_CACHED_INFO in handshake.theirs:
                if body != fingerprint(self.known):
                    raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
                body = self.known
            self._seen = body, handshake.secrets
        return self._credentials.read(handshake, kind, body)

    def _write(self, handshake):
        if not self.known or (len(self.known) <= _SHORT_BYTES and not handshake._cookie):
            return None
        found = CERT + fingerprint(self.known)
        return len(found).to_bytes(2, "big") + found

    def _read(self, handshake, data):
        if data != ACCEPTED:
            raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
