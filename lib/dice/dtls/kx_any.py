# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server with several key exchanges, such as pre-shared keys for old devices and certificates for new ones.

For each handshake the first one is chosen that the client can do: it offers one of its suites, and its hello has what serves() of
that exchange looks for, such as the curve or a type of certificates. Where none serves, the first with a common suite says why not.

An identity belongs to one kind of credentials: `kind` of an exchange (bytes; b"psk" if it has none), which becomes a part of the
credential (see KeyExchange.current). So a session of one kind is never resumed, or left alone, because of a credential
of another kind. An identity that exchanges know with different credentials, or as different kinds, is refused.
"""

from .._typing import TYPING
from ..codes import EXTENSION_RENEGOTIATION_INFO
from .extensions import SERVER_HELLO
from .handshake import KeyExchange

if TYPING:
    from .cached_info_server import CachedServer


class _Choice:
    """One of the exchanges, with the credentials of all: a handshake has it once the exchange is chosen."""

    def __init__(self, owner, exchange):
        self.exchange = exchange
        self._owner = owner
        self.kind = getattr(exchange, "kind", b"psk")
        self.current = owner.current

    def __getattr__(self, name):
        return getattr(self._owner if name == "bytes_max" else self.exchange, name)

    def serves(self, handshake):
        """Return whether the exchange can serve the client."""
        serves = getattr(self.exchange, "serves", None)
        return serves is None or serves(handshake)

    def flight(self, handshake):
        """See KeyExchange."""
        return self._call(handshake, self.exchange.flight)

    def read(self, handshake, kind, body):
        """See KeyExchange."""
        return self._call(handshake, self.exchange.read, kind, body)

    def tagged(self, identity, credential):
        """Return a credential with its kind; clients without an identity prove nothing, and are all alike."""
        return self.kind + credential if identity else credential

    def _call(self, handshake, method, *arguments):
        """Call a method that sees its own credentials alone, and make what it says those of all."""
        before = handshake.credential
        handshake.credentials = self.exchange
        try:
            result = method(handshake, *arguments)
        finally:
            handshake.credentials = self
        credential = handshake.credential
        if credential is not before and credential is not None:
            handshake.credential = self.tagged(handshake.identity, credential)
        return result


class AnyOf(KeyExchange):
    """A server's choice among several key exchanges, the preferred one first: `AnyOf(PskLookup(find), EcdhePskLookup(find), ...)`.

    A PskLookup and an EcdhePskLookup need the same keys. `bytes_max` and `messages_max` are the largest of theirs.
    """

    def __init__(self, *exchanges: "KeyExchange | CachedServer") -> None:
        self._choices = [_Choice(self, exchange) for exchange in exchanges]
        suites, kinds = [], [EXTENSION_RENEGOTIATION_INFO]  # which nearly all clients send
        for exchange in exchanges:
            suites += [suite for suite in exchange.suites if suite not in suites]
            kinds += [row[0] for row in exchange.extensions if row[0] not in kinds]
        self.suites = tuple(suites)
        self.extensions = tuple([self._row(kind) for kind in kinds])
        self.digests = max([exchange.digests for exchange in exchanges])
        self.bytes_max = max([exchange.bytes_max for exchange in exchanges])
        self.messages_max = max([exchange.messages_max for exchange in exchanges])

    def flight(self, handshake):
        """Return the flight of the chosen exchange, of a client that had none of the extensions; see KeyExchange."""
        return self._choose(handshake, (handshake.suite,)).flight(handshake)

    def current(self, identity):
        """Return the kind and the credential of an identity; see KeyExchange."""
        found = None
        for choice in self._choices:
            credential = choice.exchange.current(identity)
            if credential is not None:
                credential = choice.tagged(identity, credential)
                if found not in (None, credential):
                    return None
                found = credential
        return found

    def _row(self, kind):
        return kind, None, lambda handshake, data: self._read(handshake, kind, data), SERVER_HELLO

    def _read(self, handshake, kind, data):
        """Process an extension as the chosen exchange does."""
        if handshake.credentials is self:
            self._choose(handshake, handshake.suites)
        for row in handshake.credentials.extensions:
            if row[0] == kind:
                row[2](handshake, data)

    def _choose(self, handshake, suites):
        """Choose for good; return the _Choice."""
        able = [(suite, choice) for suite in suites for choice in self._choices if suite in choice.suites]
        handshake.suite, handshake.credentials = ([pair for pair in able if pair[1].serves(handshake)] or able)[0]
        return handshake.credentials
