# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys: the key exchange of RFC 4279, section 2, with the suites of RFC 6655 (row 4).

    struct { opaque psk_identity_hint<0..2^16-1>; } ServerKeyExchange;      left out where there is no hint
    struct { opaque psk_identity<0..2^16-1>; } ClientKeyExchange;

Identities have at most 128 bytes and are compared byte by byte; keys have at most 64 (RFC 7925, section 4.2).
"""

from dice._compat import const
from dice.errors import UsageError
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8
from dice.wire import Reader, Writer

_PSK_IDENTITY_MAX_BYTES = const(128)
_PSK_MAX_BYTES = const(64)

_E_OPTION = const(18)


def _premaster(key):
    """Return the premaster secret of a key (RFC 4279, section 2)."""
    writer = Writer()
    writer.vector(bytes(len(key)), 2)
    writer.vector(key, 2)
    return writer.data


class Psk:
    """A client's identity and key. Each device has its own, and they come from provisioning, not from source code."""

    suites = (PSK_AES_128_CCM_8, PSK_AES_128_CCM)

    def __init__(self, identity, key):
        """Take bytes: an identity of 1 to 128, a key of 1 to 64, of which 16 or more should be random."""
        if not 0 < len(identity) <= _PSK_IDENTITY_MAX_BYTES or not 0 < len(key) <= _PSK_MAX_BYTES:
            raise UsageError(_E_OPTION)
        self.identity = identity
        self._key = key

    def read_server_key_exchange(self, body):
        """Take a hint, which RFC 7925 has clients ignore; raises FormatError."""
        reader = Reader(body)
        reader.vector(2)
        reader.end()

    def write_client_key_exchange(self):
        """Return the body of a ClientKeyExchange and the premaster secret."""
        writer = Writer()
        writer.vector(self.identity, 2)
        return writer.data, _premaster(self._key)


class PskLookup:
    """A server's keys: `find` is a function from identity (bytes) to key (bytes), or to None where it is unknown."""

    suites = Psk.suites

    def __init__(self, find):
        self._find = find

    def read_client_key_exchange(self, body, random):
        """Return the identity and the premaster secret; raises FormatError.

        An unknown identity goes on with a random key, so that it looks like a wrong one (RFC 7925, section 4.2).
        """
        reader = Reader(body)
        identity = reader.vector(2)
        reader.end()
        key = self._find(identity) if len(identity) <= _PSK_IDENTITY_MAX_BYTES else None
        return identity, _premaster(key or random(16))
