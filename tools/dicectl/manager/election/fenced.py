# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager that may be superseded at any moment: what its process says and gives out while it is not sure (see `leader`).

A datagram that leaves although another manager has taken over is one that the network has delayed: all that it can contain was
durable before, and so the next manager has read it. This module keeps the delay short, and a process that was stopped silent.
"""

from dice.group.manager import Manager


class Alone:
    """A leader that nobody can supersede, such as the one of an SQLite file, which is locked: for the calls see leader.Leader."""

    lost = None
    error = None

    def looped(self):
        """Nobody takes over from a process that hangs."""

    def may_send(self):
        return True

    def may_distribute(self):
        return True

    def raise_if_lost(self):
        """It cannot be lost."""


_HELD_MAX = 16  # datagrams for one address


class FencedTransport:
    """A server's transport that sends nothing, and receives nothing, unless `may_send()`.

    It holds what is for some addresses until something is stored that must not be lost once they have been answered.
    """

    def __init__(self, inner, may_send):
        self._inner = inner
        self._may_send = may_send
        self._held = {}  # datagrams by address

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def send(self, datagram, address=None):
        """Send; lost while we may not, as on a bad link."""
        held = self._held.get(address) if self._held else None
        if held is not None:
            if len(held) < _HELD_MAX:
                held.append(bytes(datagram))
        elif self._may_send():
            self._inner.send(datagram, address)

    def hold(self, address):
        """Hold what is sent to an address until it is released with what this returns."""
        self._held[address] = held = []
        return held

    def release(self, address, held):
        """Send what was held for an address, unless it was held anew since."""
        if held is None or self._held.get(address) is not held:
            return
        for datagram in self._held.pop(address):
            try:
                self.send(datagram, address)
            except OSError:  # as on a bad link
                pass

    def receive(self):
        """Return (datagram, address) or (None, None); an empty one in place of each that arrives while we may not send."""
        datagram, address = self._inner.receive()
        if datagram is not None and not self._may_send():
            datagram = b""
        return datagram, address


class FencedManager(Manager):
    """A group's manager that gives no keys to anybody unless `may_distribute()`: members ask again."""

    may_distribute = staticmethod(lambda: True)

    def pending(self, identity):
        """Return whether a member had better fetch the epoch some moments later."""
        return not self.may_distribute() or super().pending(identity)
