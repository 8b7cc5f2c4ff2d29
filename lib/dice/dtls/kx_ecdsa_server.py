# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ECDHE_ECDSA, the server's half; see `kx_ecdsa`.

struct { CertificateType types<1..2^8-1>; } server_certificate_type, client_certificate_type;   of a client (RFC 7250, section 3)
struct { CertificateType type; } server_certificate_type, client_certificate_type;              of a server
"""

from ..codes import (
    ALERT_HANDSHAKE_FAILURE,
    ALERT_UNSUPPORTED_CERTIFICATE,
    EXTENSION_CLIENT_CERTIFICATE_TYPE,
    EXTENSION_SERVER_CERTIFICATE_TYPE,
    EXTENSION_SIGNATURE_ALGORITHMS,
    HANDSHAKE_CERTIFICATE,
    HANDSHAKE_CERTIFICATE_REQUEST,
    HANDSHAKE_CERTIFICATE_VERIFY,
    HANDSHAKE_CLIENT_KEY_EXCHANGE,
    HANDSHAKE_SERVER_KEY_EXCHANGE,
)
from ..errors import PeerError
from ..reasons import E_SIGNATURE
from ..wire import Reader
from . import ecdhe
from .extensions import SERVER_HELLO
from .handshake import KeyExchange
from .kx_ecdsa import EXTENSIONS, Ecdsa, check, own_point, refuse, sha256_of, signature

_REQUEST = b"\1\x40\0\2\4\3\0\0"  # ecdsa_sign, ecdsa_secp256r1_sha256, no names of authorities


def _types(data):
    reader = Reader(data)
    types = reader.vector(1)
    reader.end()
    return types


def _read_types(handshake, data):
    _types(data)


def _write_server_type(handshake):
    return None if handshake.resumed else handshake.credentials.certificate_type


def _write_client_type(handshake):
    return _write_server_type(handshake) if handshake.credentials.asks else None


class EcdsaServer(KeyExchange):
    """A server's half. It keeps in `handshake.exchange` the ephemeral private key and the point of the client's Certificate.

    A subclass has `certificate_type`, one byte, `kind` (see `kx_any`), `errors` and `error`, and

        read_certificate(handshake, reader)   return the point of the client's Certificate if the client may connect, and set
                                              `handshake.identity` and `handshake.credential`; raises PeerError, FormatError
        certificate()                         return the body of our Certificate
        credential(identity, found)           return what current() returns for what find(identity) has returned
    """

    suites = Ecdsa.suites
    extensions = EXTENSIONS + (
        (EXTENSION_CLIENT_CERTIFICATE_TYPE, _write_client_type, _read_types, SERVER_HELLO),
        (EXTENSION_SERVER_CERTIFICATE_TYPE, _write_server_type, _read_types, SERVER_HELLO),
    )
    digests = 3

    def __init__(self, private, find):
        """`private`: our key, 32 bytes; `find`: see current(); None: clients prove nothing. Raises UsageError."""
        self.errors = 0
        self.error: BaseException | None = None
        self.point = own_point(private)
        self.asks = find is not None
        self._private = private
        self._find = find

    def serves(self, handshake):
        """Return whether the hello of a client has the types of certificates that are used here, and the curve; see `kx_any`."""
        theirs = handshake.theirs
        wanted = self.certificate_type
        default = b"\1\0"  # X.509
        return (
            ecdhe.serves(handshake)
            and wanted in _types(theirs.get(EXTENSION_SERVER_CERTIFICATE_TYPE, default))
            and (not self.asks or wanted in _types(theirs.get(EXTENSION_CLIENT_CERTIFICATE_TYPE, default)))
        )

    def flight(self, handshake):
        """Return Certificate, ServerKeyExchange, and CertificateRequest if clients prove something; see KeyExchange."""
        if EXTENSION_SIGNATURE_ALGORITHMS not in handshake.theirs:  # that means SHA-1 (RFC 5246, section 7.4.1.4.1)
            raise PeerError(ALERT_HANDSHAKE_FAILURE, E_SIGNATURE)
        if not self.serves(handshake):
            refuse(ALERT_UNSUPPORTED_CERTIFICATE)
        private, point = ecdhe.generate(handshake)
        handshake.exchange = [private]
        params = ecdhe.params(point)
        signed = signature(self._private, sha256_of(handshake.secrets.randoms + params), handshake.random)
        messages = [(HANDSHAKE_CERTIFICATE, self.certificate()), (HANDSHAKE_SERVER_KEY_EXCHANGE, params + signed)]
        if self.asks:
            messages.append((HANDSHAKE_CERTIFICATE_REQUEST, _REQUEST))
        else:
            handshake.exchange.append(None)
            handshake.identity = b""
            handshake.credential = handshake.current(b"")
        return messages

    def read(self, handshake, kind, body):
        """Process Certificate, ClientKeyExchange, CertificateVerify, or the second one alone; see KeyExchange."""
        known = handshake.exchange
        step = len(known)
        reader = Reader(body)
        if kind == HANDSHAKE_CERTIFICATE and step == 1:
            if body == b"\0\0\0":  # the client has none that we can read (RFC 5246, section 7.4.6)
                refuse(ALERT_HANDSHAKE_FAILURE)
            known.append(self.read_certificate(handshake, reader))
        elif kind == HANDSHAKE_CLIENT_KEY_EXCHANGE and step == 2:
            point = ecdhe.read_public(reader)
            reader.end()
            handshake.premaster = ecdhe.shared(known[0], point)
            known.append(None)
            return not self.asks
        elif kind == HANDSHAKE_CERTIFICATE_VERIFY and step == 3 and self.asks:
            check(known[1], handshake.session_hash, reader)
            known.append(None)
            return True
        else:
            return None
        return False

    def current(self, identity):
        """Return what an identity has to prove now, or None; see KeyExchange. Raises ValueError if `find` has failed."""
        if not self.asks or not identity:
            return None if self.asks or identity else b"none"
        try:
            found = self._find(identity)
            return self.credential(identity, found) if found else None
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # also CancelledError of another task: this one, which serves all, was not cancelled
            self.errors += 1
            self.error = error
            raise ValueError
