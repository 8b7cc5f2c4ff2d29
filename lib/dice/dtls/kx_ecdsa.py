# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ECDHE_ECDSA, the client's half and what both halves share (RFC 8422; suites: RFC 7251; RFC 7925, sections 4.3 and 4.4).

    struct { ServerECDHParams params; Signature signed_params; } ServerKeyExchange;      both randoms and params are signed

    struct {                                                      struct {
        ClientCertificateType certificate_types<1..2^8-1>;            SignatureAndHashAlgorithm algorithm;
        SignatureAndHashAlgorithm algorithms<2..2^16-2>;              opaque signature<0..2^16-1>;
        DistinguishedName certificate_authorities<0..2^16-1>;     } Signature;
    } CertificateRequest;

    struct { Signature signed_messages; } CertificateVerify;      all handshake messages before it are signed

A signature is ECDSA with SHA-256 and P-256, the one algorithm that is offered and accepted. The contents of a Certificate
are a matter of `kx_rpk` and `kx_cert`; the server's half is `kx_ecdsa_server`.
"""

from .._compat import const
from ..codes import (
    ALERT_DECRYPT_ERROR,
    ALERT_HANDSHAKE_FAILURE,
    ALERT_ILLEGAL_PARAMETER,
    ALERT_UNEXPECTED_MESSAGE,
    EXTENSION_SIGNATURE_ALGORITHMS,
    HANDSHAKE_CERTIFICATE,
    HANDSHAKE_CERTIFICATE_REQUEST,
    HANDSHAKE_CERTIFICATE_VERIFY,
    HANDSHAKE_CLIENT_KEY_EXCHANGE,
    HANDSHAKE_SERVER_KEY_EXCHANGE,
)
from ..crypto import curve, ecdsa, sha256
from ..errors import PeerError, UsageError
from ..reasons import E_ILLEGAL, E_KEY, E_OPTION, E_SIGNATURE, E_UNEXPECTED
from ..suites import SUITES, AesCcm, AesCcm8
from ..wire import Reader, Writer
from . import ecdhe
from .extensions import CLIENT_HELLO
from .handshake import KeyExchange

# RFC 7251, section 2.
ECDHE_ECDSA_AES_128_CCM = const(0xC0AC)
ECDHE_ECDSA_AES_128_CCM_8 = const(0xC0AE)

_ALGORITHM = const(0x0403)  # ecdsa_secp256r1_sha256 (RFC 5246, section 7.4.1.4.1)
_ECDSA_SIGN = const(64)  # a ClientCertificateType (RFC 8422, section 5.5)
_PARAMS_BYTES = const(69)  # of those that are accepted


def refuse(alert):
    """Raise a PeerError about the peer's certificate, or the lack of one."""
    raise PeerError(alert, E_KEY)


def sha256_of(data):
    """Return the SHA-256 of some bytes."""
    running = sha256()
    running.update(data)
    return running.digest()


def _write_algorithms(handshake):
    return b"\0\2\4\3"


def _read_algorithms(handshake, data):
    reader = Reader(data)
    found = ecdhe.lists(reader, _ALGORITHM)
    reader.end()
    if not found and not handshake.is_client:  # a client ignores it: a server must not send it
        raise PeerError(ALERT_HANDSHAKE_FAILURE, E_SIGNATURE)


EXTENSIONS = ecdhe.EXTENSIONS + ((EXTENSION_SIGNATURE_ALGORITHMS, _write_algorithms, _read_algorithms, CLIENT_HELLO),)


def allow(possible):
    """Raise UsageError unless an option is possible."""
    if not possible:
        raise UsageError(E_OPTION)


def own_point(private):
    """Return the point of our private key; raises UsageError if it is none."""
    try:
        return curve.public(private)
    except (ValueError, TypeError):
        allow(False)


def signature(private, digest, random):
    """Return a Signature of a digest."""
    writer = Writer()
    writer.uint(_ALGORITHM, 2)
    writer.vector(ecdsa.sign(private, digest, random), 2)
    return writer.data


def check(point, digest, reader):
    """Verify the Signature in front of `reader`, which ends a message; raises PeerError, FormatError."""
    algorithm = reader.uint(2)
    signed = reader.vector(2)
    reader.end()
    if algorithm != _ALGORITHM:
        raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)
    if not ecdsa.verify(point, digest, signed):
        raise PeerError(ALERT_DECRYPT_ERROR, E_SIGNATURE)


class Ecdsa(KeyExchange):
    """A client's half. It keeps in `handshake.exchange` the server's points, long-term and ephemeral, and whether we prove our key.

    A subclass has

        read_certificate(handshake, reader)   return the point of the server's Certificate if it is trusted, and set
                                              `handshake.identity`; raises PeerError, FormatError
        certificate(handshake)                return the body of our Certificate, or None if the server cannot read one of ours
    """

    suites = (ECDHE_ECDSA_AES_128_CCM_8, ECDHE_ECDSA_AES_128_CCM)
    extensions = EXTENSIONS
    digests = 3
    messages_max = 5

    def __init__(self, private):
        """`private`: our key, 32 bytes, or None to prove none; raises UsageError."""
        self.point = own_point(private) if private else None
        self._private = private

    def read(self, handshake, kind, body):
        """Process Certificate, ServerKeyExchange and, if there is one, CertificateRequest, in this order; see KeyExchange."""
        known = handshake.exchange
        reader = Reader(body)
        if kind == HANDSHAKE_CERTIFICATE and not known:
            handshake.exchange = [self.read_certificate(handshake, reader)]
        elif kind == HANDSHAKE_SERVER_KEY_EXCHANGE and known and len(known) == 1:
            known.append(ecdhe.read_params(reader))
            check(known[0], sha256_of(handshake.secrets.randoms + body[:_PARAMS_BYTES]), reader)
        elif kind == HANDSHAKE_CERTIFICATE_REQUEST and known and len(known) == 2:
            types = reader.vector(1)
            known.append(ecdhe.lists(reader, _ALGORITHM) and _ECDSA_SIGN in types)
            reader.vector(2)
            reader.end()
        else:
            return None
        return False

    def flight(self, handshake):
        """Return a Certificate, if the server has requested one, and the ClientKeyExchange; see KeyExchange.

        The Certificate is empty if ours is of no use.
        """
        known = handshake.exchange or ()
        if len(known) < 2:
            raise PeerError(ALERT_UNEXPECTED_MESSAGE, E_UNEXPECTED)
        private, point = ecdhe.generate(handshake)
        handshake.premaster = ecdhe.shared(private, known[1])
        messages = [(HANDSHAKE_CLIENT_KEY_EXCHANGE, ecdhe.public(point))]
        if len(known) > 2:
            body = self.certificate(handshake) if self._private and known[2] else None
            known[2] = bool(body)
            messages.insert(0, (HANDSHAKE_CERTIFICATE, body or b"\0\0\0"))
        return messages

    def prove(self, handshake):
        """Return the CertificateVerify, if we have sent a certificate; see KeyExchange."""
        if not handshake.exchange[2:] or not handshake.exchange[2]:
            return ()
        signed = signature(self._private, handshake.session_hash, handshake.random)
        return ((HANDSHAKE_CERTIFICATE_VERIFY, signed),)


SUITES[-ECDHE_ECDSA_AES_128_CCM_8] = AesCcm8
SUITES[-ECDHE_ECDSA_AES_128_CCM] = AesCcm
