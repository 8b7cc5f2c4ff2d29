# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys, the client's half (RFC 4279, section 2), with the suites of RFC 6655.

    struct { opaque psk_identity_hint<0..2^16-1>; } ServerKeyExchange;      absent if there is no hint
    struct { opaque psk_identity<0..2^16-1>; } ClientKeyExchange;

Identities have at most 128 bytes and are compared byte by byte; keys have at most 64 (RFC 7925, section 4.2).
"""

from ..codes import HANDSHAKE_CLIENT_KEY_EXCHANGE, HANDSHAKE_SERVER_KEY_EXCHANGE
from ..errors import UsageError
from ..limits import PSK_IDENTITY_MAX_BYTES, PSK_MAX_BYTES
from ..reasons import E_OPTION
from ..suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8
from ..wire import Reader, Writer
from .handshake import KeyExchange


def premaster(key):
    """Return the premaster secret of a key (RFC 4279, section 2)."""
    writer = Writer()
    writer.vector(bytes(len(key)), 2)
    writer.vector(key, 2)
    return writer.data


class Psk(KeyExchange):
    """A client's identity and key. Each device has its own, from provisioning, never from source code."""

    suites = (PSK_AES_128_CCM_8, PSK_AES_128_CCM)

    def __init__(self, identity: bytes, key: bytes) -> None:
        """Take `identity`, 1 to 128 bytes, and `key`, 1 to 64 bytes, of which 16 or more should be random; raises UsageError."""
        if not 0 < len(identity) <= PSK_IDENTITY_MAX_BYTES or not 0 < len(key) <= PSK_MAX_BYTES:
            raise UsageError(E_OPTION)
        self.identity = identity
        self._key = key

    def read(self, handshake, kind, body):
        """Accept a hint, once, which RFC 7925 has clients ignore; see KeyExchange."""
        if kind != HANDSHAKE_SERVER_KEY_EXCHANGE or handshake.exchange:
            return None
        handshake.exchange = True
        reader = Reader(body)
        reader.vector(2)
        reader.end()
        return True

    def flight(self, handshake):
        """Return the ClientKeyExchange; see KeyExchange."""
        handshake.premaster = premaster(self._key)
        writer = Writer()
        writer.vector(self.identity, 2)
        return ((HANDSHAKE_CLIENT_KEY_EXCHANGE, writer.data),)
