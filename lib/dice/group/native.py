# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Member.receive on a board whose module `_dice`, in C, computes AES-CCM: header, look-up of the sender and tag in one call of it.

It does what nearly every record needs: one of the current epoch, the next in order of a sender. Everything else goes to the method
in `member`, which also says what the order of the checks is. ImportError says that the board has no such module.
"""

from .._compat import ticks_diff
from ..crypto.native import crypt, open_next
from ..errors import DATA


def receive(self, datagram, now):
    """Process a datagram: see Member.receive, which is Member._receive here."""
    context = self._context
    if context is None or (self._due is not None and ticks_diff(now, self._due) >= 0):
        return self._receive(datagram, now)
    found = open_next(crypt, context, datagram)
    if found is None:
        return self._receive(datagram, now)
    self.data = self.sender = None
    sender, sender_id, plaintext = found
    if plaintext is None:
        sender.forged += 1
        return self._drop("forged")
    sequence = sender.next
    try:  # the store first, then the window, then the application
        if sequence >= sender.mark:
            sender.mark = self.counters.reserve(sender.counter, context.base, sender.mark, sequence + self._remember_records)
    except Exception:  # whatever a store raises
        return self._drop("unsaved")
    sender.next = sequence + 1
    context.state[sender.at + (sequence >> 3 & 7)] |= 1 << (sequence & 7)
    self.accepted += 1
    self.data, self.sender = plaintext, sender_id
    self.epoch = context.epoch
    self.sequence = sequence
    return DATA
