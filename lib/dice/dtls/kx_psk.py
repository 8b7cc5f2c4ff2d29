# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys: a client's half of the key exchange of RFC 4279, section 2, with the suites of RFC 6655 (row 4).

    struct { opaque psk_identity_hint<0..2^16-1>; } ServerKeyExchange;      left out where there is no hint
    struct { opaque psk_identity<0..2^16-1>; } ClientKeyExchange;

Identities have at most 128 bytes and are compared byte by byte; keys have at most 64 (RFC 7925, section 4.2).
"""

from ..errors import UsageError
from ..limits import PSK_IDENTITY_MAX_BYTES, PSK_MAX_BYTES
from ..reasons import E_OPTION
from ..suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8
from ..wire import Reader, Writer


def premaster(key):
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
        if not 0 < len(identity) <= PSK_IDENTITY_MAX_BYTES or not 0 < len(key) <= PSK_MAX_BYTES:
            raise UsageError(E_OPTION)
        self.identity = identity
        self._key = key

    def read_key_exchange(self, body):
        """Take a hint, which RFC 7925 has clients ignore; raises FormatError."""
        reader = Reader(body)
        reader.vector(2)
        reader.end()

    def write_key_exchange(self):
        """Return the body of a ClientKeyExchange and the premaster secret."""
        writer = Writer()
        writer.vector(self.identity, 2)
        return writer.data, premaster(self._key)
