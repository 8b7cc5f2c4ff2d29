# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The persistent counters of a group, in the store of a device.

Each is a 64-bit number, epoch (16 bits) | number (48 bits) as in RFC 6347, section 4.1, that never decreases, except that
Member.close returns what was reserved and not used. Its name has 13 characters: the group id, a letter, a SenderID.

    t  the sequence number at which sending continues after a reboot
    r  the lowest sequence number of a sender that is fresh after a reboot
    l  the seconds of an epoch's lifetime that are used up; its epoch is the lowest that the device may use
    c  the epoch in which another device was found to use our SenderID
    a  the latest epoch in which a counter r was found to be lost, so that what we have answered is unknown

A counter r that is one less than the first number of its epoch says that the number was unknown from the beginning.
"""

from ..errors import StoreError, UsageError
from ..reasons import E_OLD_EPOCH, E_STORE_SHARED


class Counters:
    """The counters of one group. Every call raises StoreError if the store fails. `gid` has 4 bytes."""

    def __init__(self, store, gid):
        self._store = store
        self._gid = gid
        self._tried = {}  # {name: value} of writes that failed

    def begin(self, epoch):
        """Store that `epoch` has begun; return the seconds of its lifetime that are used up. Raises UsageError if it is over."""
        name = self.name("l", 0)
        held = self._store.get(name) or 0
        if held >> 48 > epoch:
            raise UsageError(E_OLD_EPOCH)
        if held >> 48 < epoch:
            held = epoch << 48
            self._store.put(name, held)
        return held - (epoch << 48)

    def live(self, epoch, seconds):
        """Store how many seconds of the epoch's lifetime are used up, unless a later epoch has begun."""
        name = self.name("l", 0)
        if (self._store.get(name) or 0) >> 48 <= epoch:
            self._store.put(name, (epoch << 48) + seconds)

    def mark(self, kind, sender_id, epoch):
        """Store what "c" or "a" says of `epoch`, the latter whose SenderID is 0."""
        self._store.put(self.name(kind, sender_id), epoch << 48)

    def marked(self, kind, sender_id, epoch):
        """Return whether mark() was called for `epoch`, or for a later one."""
        return (self._store.get(self.name(kind, sender_id)) or 0) >= epoch << 48

    def resume(self, name, epoch, first):
        """Return the sequence number at which a counter continues in `epoch`, or None if it is unknown.

        `first` is that of a fresh GSA, -1 if that does not know it, or None if the GSA is not fresh. It is stored at once, because
        a GSA is fresh only once. With neither a stored number nor a fresh GSA the counter was lost, and "a" is marked.
        """
        base = epoch << 48
        held = (self._store.get(name) or 0) - base
        if held >= 0 and (first is None or held >= first):
            return held
        if first is not None:
            self._store.put(name, base + first)
        elif held < -1:
            self.mark("a", 0, epoch)
        return None if first == -1 else first

    def reserve(self, name, base, mark, end):
        """Store that all sequence numbers below `end` are used, or will be skipped after a reboot; return `end`, the new mark.

        `base` is epoch << 48. `mark` is the stored number, 0 if there is none of this epoch. If a write that was reported as failed
        did reach the flash, its value is recognised. Raises StoreError if another program has changed the counter.
        """
        held = self._store.get(name) or 0
        if held != base + mark and (mark or held > base) and held != self._tried.get(name):
            raise StoreError(E_STORE_SHARED)
        self._tried[name] = held = base + end
        self._store.put(name, held)
        del self._tried[name]
        return end

    def name(self, kind, sender_id):
        """Return the name of a counter. Members keep it, because formatting it takes longer than the rest of reserve()."""
        return "%08x%s%04x" % (int.from_bytes(self._gid, "big"), kind, sender_id)
