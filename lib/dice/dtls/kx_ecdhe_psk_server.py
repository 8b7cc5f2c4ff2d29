# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys with forward secrecy, the server's half; see `kx_ecdhe_psk`."""

from ..codes import HANDSHAKE_CLIENT_KEY_EXCHANGE, HANDSHAKE_SERVER_KEY_EXCHANGE
from ..wire import Reader
from . import ecdhe
from .kx_ecdhe_psk import EcdhePsk, premaster
from .kx_psk_server import PskLookup


class EcdhePskLookup(PskLookup):
    """A server's keys, as in a PskLookup, for sessions with forward secrecy."""

    suites = EcdhePsk.suites
    extensions = ecdhe.EXTENSIONS

    def serves(self, handshake):
        """Return whether the client knows the curve; see `kx_any`."""
        return ecdhe.serves(handshake)

    def flight(self, handshake):
        """Return the ServerKeyExchange, without a hint; see KeyExchange."""
        handshake.exchange, point = ecdhe.generate(handshake)
        return ((HANDSHAKE_SERVER_KEY_EXCHANGE, b"\0\0" + ecdhe.params(point)),)

    def read(self, handshake, kind, body):
        """Process the ClientKeyExchange; see KeyExchange.

        An unknown identity gets a random key, so that it looks like a wrong key (RFC 7925, section 4.2).
        """
        if kind != HANDSHAKE_CLIENT_KEY_EXCHANGE:
            return None
        reader = Reader(body)
        handshake.identity = identity = reader.vector(2)
        point = ecdhe.read_public(reader)
        reader.end()
        handshake.credential = key = handshake.current(identity)
        handshake.premaster = premaster(ecdhe.shared(handshake.exchange, point), key or handshake.random(16))
        return True
