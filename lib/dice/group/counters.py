# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What a device must not forget about a group: its counters in the store.

Each is one 64-bit number, epoch | number, as in RFC 6347, section 4.1, that never goes back. Names have 13 characters: the group
id, a letter, a SenderID.

    t  the sequence number with which we go on sending
    r  the lowest sequence number that is still fresh from a sender
    l  the seconds lived in an epoch; so also the epoch itself, below which there is no return
    c  whether another device was heard sending as ourselves in an epoch
"""

from ..errors import StoreError, UsageError
from ..reasons import E_OLD_EPOCH, E_STORE_SHARED


class Counters:
    """The counters of one group; every call raises StoreError when the store cannot do its part."""

    def __init__(self, store, gid):
        self._store = store
        self._gid = gid
        self._tried = {}  # what an attempt that did not come to its end wanted to write, by name

    def begin(self, epoch):
        """Note that `epoch` has begun; return the seconds lived in it. Raises UsageError if it has gone by."""
        name = self.name("l", 0)
        held = self._store.get(name) or 0
        if held >> 48 > epoch:
            raise UsageError(E_OLD_EPOCH)
        if held >> 48 < epoch:
            held = epoch << 48
            self._store.put(name, held)
        return held - (epoch << 48)

    def live(self, epoch, seconds):
        """Note how many seconds of the epoch are used up, unless a later one has begun."""
        name = self.name("l", 0)
        if (self._store.get(name) or 0) >> 48 <= epoch:
            self._store.put(name, (epoch << 48) + seconds)

    def clash(self, sender_id, epoch):
        """Note that another device sends as ourselves in `epoch`."""
        self._store.put(self.name("c", sender_id), epoch << 48)

    def clashed(self, sender_id, epoch):
        """Tell whether that was noted of `epoch`."""
        return self._store.get(self.name("c", sender_id)) == epoch << 48

    def resume(self, name, epoch, first):
        """Return the sequence number where a counter goes on in `epoch`, or None where nobody knows.

        `first` is what a fresh GSA says, or None. It is kept at once, since it is believed only once.
        """
        held = (self._store.get(name) or 0) - (epoch << 48)
        if held >= 0 and (first is None or held >= first):
            return held
        if first is not None:
            self._store.put(name, (epoch << 48) + first)
        return first

    def reserve(self, name, base, mark, end):
        """Have the store say that all sequence numbers below `end` are used, or lost to a reboot; return `end`, the new mark.

        `base` is epoch << 48. `mark` is what the store says now, 0 where it says nothing of this epoch. An attempt that took hold
        although it was reported as failed is known again by what it tried to write.
        """
        held = self._store.get(name) or 0
        if held != base + mark and (mark or held > base) and held != self._tried.get(name):
            raise StoreError(E_STORE_SHARED)
        self._tried[name] = held = base + end
        self._store.put(name, held)
        del self._tried[name]
        return end

    def name(self, kind, sender_id):
        """Return the name of a counter: members keep it, since making it takes longer than all else that reserve() does."""
        return "%08x%s%04x" % (int.from_bytes(self._gid, "big"), kind, sender_id)
