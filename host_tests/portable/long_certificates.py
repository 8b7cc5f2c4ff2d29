# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key exchange with the messages of certificates, as long as a test wants, and with HMACs instead of signatures."""

from dice.crypto.hmac import Hmac
from dice.dtls.handshake import KeyExchange
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError

CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE = 11, 12, 13, 15, 16
_SECRET = b"both know it"
_PATTERN = bytes([i * 7 & 0xFF for i in range(256)])  # once, while a small heap still has 2 KB in one piece


class Long(KeyExchange):
    """Shows a certificate of `size` bytes, and takes messages of `bytes_max` bytes."""

    suites = Psk.suites
    digests = 3
    messages_max = 5

    def __init__(self, size, bytes_max):
        self.size = size
        self.bytes_max = bytes_max

    def certificate(self):
        return _PATTERN * (self.size >> 8)

    def flight(self, handshake):
        if not handshake.is_client:
            signed = Hmac(_SECRET).digest(handshake.secrets.randoms)
            return [(CERTIFICATE, self.certificate()), (SERVER_KEY_EXCHANGE, signed), (CERTIFICATE_REQUEST, b"\1")]
        handshake.premaster, handshake.identity = b"premaster", b"%d" % handshake.exchange[CERTIFICATE]
        return [(CERTIFICATE, self.certificate()), (CLIENT_KEY_EXCHANGE, b"")]

    def read(self, handshake, kind, body):
        order = (11, 12, 13) if handshake.is_client else (11, 16, 15)
        taken = handshake.exchange = handshake.exchange or {}
        if kind not in order[len(taken) : len(taken) + 1]:
            return None
        taken[kind] = len(body)
        covered = handshake.secrets.randoms if kind == SERVER_KEY_EXCHANGE else handshake.session_hash
        if kind in (SERVER_KEY_EXCHANGE, CERTIFICATE_VERIFY) and body != Hmac(_SECRET).digest(covered):
            raise PeerError(51, 57)
        if kind == CLIENT_KEY_EXCHANGE:
            handshake.premaster, handshake.identity = b"premaster", b"%d" % taken[CERTIFICATE]
            handshake.credential = self.current(handshake.identity)
        return len(taken) == len(order)

    def prove(self, handshake):
        return [(CERTIFICATE_VERIFY, Hmac(_SECRET).digest(handshake.session_hash))]

    def current(self, identity):
        return b"certificate " + identity
