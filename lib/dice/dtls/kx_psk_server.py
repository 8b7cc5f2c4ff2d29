# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys: a server's half of the key exchange, see `kx_psk` (row 4)."""

from ..limits import PSK_IDENTITY_MAX_BYTES
from ..wire import Reader
from .kx_psk import Psk, premaster


class PskLookup:
    """A server's keys: `find` is a function from identity (bytes) to key (bytes), or to None where it is unknown."""

    suites = Psk.suites

    def __init__(self, find):
        self._find = find

    def read_key_exchange(self, body, random):
        """Return the identity and the premaster secret; raises FormatError.

        An unknown identity goes on with a random key, so that it looks like a wrong one (RFC 7925, section 4.2).
        """
        reader = Reader(body)
        identity = reader.vector(2)
        reader.end()
        key = self._find(identity) if len(identity) <= PSK_IDENTITY_MAX_BYTES else None
        return identity, premaster(key or random(16))
