# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pre-shared keys, the server's half; see `kx_psk`."""

from .._typing import TYPING
from ..codes import HANDSHAKE_CLIENT_KEY_EXCHANGE
from ..limits import PSK_IDENTITY_MAX_BYTES
from ..wire import Reader
from .handshake import KeyExchange
from .kx_psk import Psk, premaster

if TYPING:
    from collections.abc import Callable


class PskLookup(KeyExchange):
    """A server's keys: `find` is a function from identity (bytes) to key (bytes), or to None if the identity is unknown.

    It is called more than once for a session: when the client says who it is, when it has proved that, when it resumes the
    session, and once a minute as long as the session lasts. So deleting or changing a key ends what was made with it.

    An identity for which `find` raises an exception, or returns something else, counts as unknown in that handshake. `errors`
    counts these, and `error` is the last exception.
    """

    suites = Psk.suites

    def __init__(self, find: "Callable[[bytes], bytes | None]") -> None:
        self.errors = 0
        self.error: BaseException | None = None
        self._find = find

    def flight(self, handshake):
        """Return nothing, because there is no hint; see KeyExchange."""
        return ()

    def read(self, handshake, kind, body):
        """Process the ClientKeyExchange; see KeyExchange.

        An unknown identity gets a random key, so that it looks like a wrong key (RFC 7925, section 4.2).
        """
        if kind != HANDSHAKE_CLIENT_KEY_EXCHANGE:
            return None
        reader = Reader(body)
        handshake.identity = identity = reader.vector(2)
        reader.end()
        handshake.credential = key = handshake.current(identity)
        handshake.premaster = premaster(key or handshake.random(16))
        return True

    def current(self, identity):
        """Return the key that an identity has now, or None; see KeyExchange. Raises ValueError if `find` has failed."""
        try:
            key = self._find(identity) if len(identity) <= PSK_IDENTITY_MAX_BYTES else None
            if key is None or isinstance(key, (bytes, bytearray, memoryview)):
                return bytes(key) if key else None  # a copy, which does not change if the application's does
            raise TypeError
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # also CancelledError of another task: this one, which serves all, was not cancelled
            self.errors += 1
            self.error = error
            raise ValueError
