# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys, the client's half (RFC 7250; RFC 7925, section 4.3).

    opaque ASN.1_subjectPublicKeyInfo<1..2^24-1>;      Certificate

A SubjectPublicKeyInfo of a point on P-256 has 91 bytes: 27 that are always the same, X and Y. Other forms are refused.
"""

from .._typing import TYPING
from ..codes import (
    ALERT_CERTIFICATE_UNKNOWN,
    ALERT_ILLEGAL_PARAMETER,
    ALERT_UNSUPPORTED_CERTIFICATE,
    EXTENSION_CLIENT_CERTIFICATE_TYPE,
    EXTENSION_SERVER_CERTIFICATE_TYPE,
)
from ..errors import PeerError
from ..reasons import E_ILLEGAL
from .extensions import CLIENT_HELLO
from .kx_ecdsa import EXTENSIONS, Ecdsa, allow, refuse, sha256_of

if TYPING:
    from collections.abc import Iterable

_SPKI = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\0\4"
RAW_PUBLIC_KEY = b"\2"  # a CertificateType (RFC 7250, section 7)


def write_key(point):
    """Return the body of a Certificate."""
    return b"\0\0\x5b" + _SPKI + point[1:]


def identity_of(point):
    """Return the identity of whoever has this public key: the SHA-256 of its SubjectPublicKeyInfo."""
    return sha256_of(write_key(point)[3:])


def read_key(reader):
    """Return (point, identity) of a Certificate; the identity is the SHA-256 of its SubjectPublicKeyInfo."""
    spki = reader.vector(3)
    reader.end()
    if len(spki) != 91 or spki[:27] != _SPKI:
        refuse(ALERT_UNSUPPORTED_CERTIFICATE)
    return spki[26:], sha256_of(spki)


def _write_types(handshake):
    return b"\1\2"


def _read_type(handshake, data):
    if data != RAW_PUBLIC_KEY:
        raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)


_ROWS = (
    (EXTENSION_SERVER_CERTIFICATE_TYPE, _write_types, _read_type, CLIENT_HELLO),
    (EXTENSION_CLIENT_CERTIFICATE_TYPE, _write_types, _read_type, CLIENT_HELLO),
)


class RawPublicKey(Ecdsa):
    """A client's private key, and the public keys of the servers that it trusts. Each device has its own key.

    The `identity` of the session is the SHA-256 of the server's SubjectPublicKeyInfo, 32 bytes;
    `point` is our own public key.
    """

    def __init__(self, private: "bytes | None", servers: "Iterable[bytes]") -> None:
        """Take `private`, 32 bytes, or None to prove nothing, and `servers`; raises UsageError.

        `servers`: points of 65 bytes, or identities of 32 bytes, as identity_of() returns them.
        """
        super().__init__(private)
        self._servers = tuple(bytes(server) for server in servers)
        allow(self._servers and not [one for one in self._servers if len(one) != 32 and (len(one) != 65 or one[0] != 4)])
        self.extensions = EXTENSIONS + (_ROWS if private else _ROWS[:1])

    def read_certificate(self, handshake, reader):
        """Return the server's point if it is one of ours; see Ecdsa."""
        if EXTENSION_SERVER_CERTIFICATE_TYPE not in handshake.theirs:  # it is an X.509 certificate
            refuse(ALERT_UNSUPPORTED_CERTIFICATE)
        point, handshake.identity = read_key(reader)
        if point not in self._servers and handshake.identity not in self._servers:
            refuse(ALERT_CERTIFICATE_UNKNOWN)
        return point

    def certificate(self, handshake):
        """Return our public key, if the server reads one; see Ecdsa."""
        return write_key(self.point) if EXTENSION_CLIENT_CERTIFICATE_TYPE in handshake.theirs else None
