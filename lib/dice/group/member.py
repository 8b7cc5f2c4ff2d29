# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A member of a group: the sans-IO core behind `dice.join`.

receive(datagram, now) -> event, send(data, now), transmit() -> datagram or None, deadline() -> ticks or None, timeout(now) ->
event; `now` is in ticks_ms. After DATA, `data` is the message and `sender` its SenderID; `epoch` and `sequence` identify it for
`dice.group.response`, which answers it. One thread drives a member; an interrupt must not.

A listener checks a record in this order: format, epoch, SenderID, replay window, tag. Nothing changes before the tag has verified.
Then the store is written, the window is updated, and the application gets the message, in this order. So a message is obeyed at
most once, also by a node that loses power. If the store cannot be written, nothing is sent and nothing is obeyed.

At most two epochs are held: the current one, in which we send, and either the next one, before its activation, or the previous one,
which is read for a grace period.
"""

from struct import pack, unpack_from

from .._compat import ticks_add, ticks_diff
from ..codes import CONTENT_APPLICATION_DATA, DTLS_1_2
from ..errors import CLASH, DATA, EXPIRED, NONE, LimitError, StoreError, UsageError
from ..limits import (
    DATAGRAM_MAX_BYTES,
    GRACE_MS,
    KEY_RECORDS_MAX,
    LIFETIME_UNIT_MAX_S,
    RECORD_HEADER_BYTES,
    RECORD_MIN_BYTES,
    RECORD_OVERHEAD_MAX_BYTES,
    RESERVE_RECORDS,
)
from ..reasons import (
    E_CLASH,
    E_CLOSED,
    E_COUNTER_LOST,
    E_EXPIRED,
    E_NO_NEXT_EPOCH,
    E_NOT_A_SENDER,
    E_NOT_BYTES,
    E_NOT_SENT,
    E_OLD_EPOCH,
    E_OPTION,
    E_OTHER_GROUP,
    E_SPENT,
    E_TOO_LONG,
)
from .context import Context
from .counters import Counters


class Member:
    """One device's part in one group.

    `dropped` counts the datagrams that were not obeyed, by kind:
      malformed   not one complete application-data record of DTLS 1.2, or too long
      epoch       the epoch is not held
      unknown     the SenderID is not in the group
      replayed    received before, or older than the replay window
      forged      the tag does not verify
      own         our own record, looped back by the network
      first       authentic, but the first record of its sender, whose freshness is unknown
      clash       authentic, with our SenderID, from another device
      unsaved     authentic, but the store could not be written
    """

    def __init__(self, gsa, store, now, reserve_records=RESERVE_RECORDS, remember_records=1, grace_ms=GRACE_MS):
        """Join the group of `gsa`; `store` (see dice.store) keeps the counters across reboots.

        `reserve_records`: sending writes to the store once for this many records, and a reboot skips at most this many sequence
        numbers. `remember_records`: receiving writes to the store once for this many records of a sender, and a reboot drops up to
        one less of its new records. `grace_ms`: how long the previous epoch is read after a re-key, below 2**29. Raises StoreError,
        and UsageError if this device has already held a later epoch.
        """
        for value, least, most in (
            (reserve_records, 1, KEY_RECORDS_MAX),
            (remember_records, 1, KEY_RECORDS_MAX),
            (grace_ms, 0, (1 << 29) - 1),
        ):
            if not isinstance(value, int) or not least <= value <= most:
                raise UsageError(E_OPTION)
        self.data = self.sender = self.epoch = self.sequence = None  # of the message received last
        self.accepted = 0
        self.dropped = {}
        self._gid = gsa.gid
        self.counters = Counters(store, gsa.gid)
        self._reserve_records = reserve_records
        self._remember_records = remember_records
        self.grace_ms = grace_ms
        self._expired = False
        self._lived_s = self._unit_s = 0  # seconds of the lifetime: in all, in the unit that was last accounted for
        self._out = None  # sealed, to be sent
        self._context = self._other = None  # the epoch in which we send, and beside it the next or the previous one
        self._due = self._lifetime_end = self._grace_end = None  # in ticks
        self._halted = self._reason = None  # what send() raises, once it can no more
        self._enter(Context(gsa), None, now)

    def receive(self, datagram, now):
        """Process a datagram from the network; return NONE, DATA, CLASH or EXPIRED. Nothing that is received can raise."""
        self.data = self.sender = None
        if self._due is not None and ticks_diff(now, self._due) >= 0 and self.timeout(now):
            return EXPIRED
        size = len(datagram)
        if not RECORD_MIN_BYTES <= size <= DATAGRAM_MAX_BYTES:
            return self._drop("malformed")
        content_type, version, epoch, high, sequence, length = unpack_from(">BHHHIH", datagram)
        if content_type != CONTENT_APPLICATION_DATA or version != DTLS_1_2 or length != size - RECORD_HEADER_BYTES:
            return self._drop("malformed")
        context = current = self._context
        if context is None or context.epoch != epoch:
            context = self._other
            if context is None or context.epoch != epoch:
                return EXPIRED if self._expired else self._drop("epoch")
        sender_id = high
        if context.id_bytes == 1:
            sender_id = high >> 8
            sequence |= (high & 0xFF) << 32
        sender = context.senders.get(sender_id)
        if sender is None:
            return self._drop("unknown")
        next_sequence = sender.next
        own = sender_id == context.own_id
        if own:
            if context.clash or epoch < current.epoch or (context is current and sequence < context.own_next):
                return self._drop("own")
        elif sequence != next_sequence and not sender.is_fresh(sequence):
            return self._drop("replayed")
        keys = context.state
        at = sender.at
        crypt, start, nonce_at, tag_bytes, salt_bytes, keys_bytes = context.cipher
        i = at - salt_bytes
        plaintext = crypt(start, keys[i:at], tag_bytes, datagram, nonce_at, keys[at - keys_bytes : i], datagram, None, None)
        if plaintext is None:
            sender.forged += 1
            return self._drop("forged")
        if own:
            return self._note_clash(context)
        try:  # the store first, then the window, then the application
            if context is not current and epoch > current.epoch:
                self.activate(now)  # others have gone on, so the word to do so was lost
                if self._expired:
                    return EXPIRED
                if not sender.is_fresh(sequence):
                    return self._drop("replayed")
            if sequence >= sender.mark:
                sender.mark = self.counters.reserve(sender.counter, context.base, sender.mark, sequence + self._remember_records)
        except Exception:  # whatever a store raises
            return self._drop("unsaved")
        if sequence == next_sequence:  # as see() does, without the 28 us of its call: fresh, so no activation has set it anew
            sender.next = sequence + 1
            keys[at + (sequence >> 3 & 7)] |= 1 << (sequence & 7)
        elif not sender.see(sequence):
            return self._drop("first")
        self.accepted += 1
        self.data, self.sender = plaintext, sender_id
        self.epoch = epoch
        self.sequence = sequence
        return DATA

    def send(self, data, now):
        """Seal `data` (bytes, bytearray or memoryview); transmit() then has the datagram.

        Raises UsageError, StoreError if the sequence number cannot be stored, LimitError if the key is used up or has expired.
        """
        if self._due is not None and ticks_diff(now, self._due) >= 0:
            self.timeout(now)
        if self._halted:
            raise self._halted(self._reason)
        if self._context.own_id is None:
            raise UsageError(E_NOT_A_SENDER)
        if self._context.clash:
            raise LimitError(E_CLASH)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(E_NOT_BYTES)
        data = bytes(data)  # also of wider items
        if len(data) > DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES:
            raise UsageError(E_TOO_LONG)
        if self._out is not None:
            raise UsageError(E_NOT_SENT)
        sealed = None
        self._out = b""  # taken: a callback that comes in between must not get at the same sequence number
        try:
            sealed = self._seal(self._context, data)
        finally:
            self._out = sealed

    def transmit(self):
        """Return the datagram to put on the wire, a bytearray, or None."""
        datagram = self._out
        if not datagram:  # nothing, or one that is being sealed
            return None
        self._out = None
        return datagram

    def deadline(self):
        """Return when to call timeout(), in ticks, or None."""
        return self._due

    def timeout(self, now):
        """Handle the deadlines that have passed; return NONE, or EXPIRED from the end of the lifetime on."""
        if self._grace_end is not None and ticks_diff(now, self._grace_end) >= 0:
            self._forget_other()
        if self._lifetime_end is not None:
            late_ms = ticks_diff(now, self._lifetime_end)
            if late_ms >= 0:
                self._lived_s += late_ms // 1000
                self._count_lifetime(now)
        return EXPIRED if self._expired else NONE

    def install(self, gsa, now):
        """Hold the next epoch beside the current one; the first authentic, fresh record in it activates it.

        Save the GSA before the call, because after a reboot the device refuses the old one. Raises UsageError for another group and
        for an epoch that is not newer.
        """
        if self._context is None:
            raise self._halted(self._reason)
        if gsa.gid != self._gid:
            raise UsageError(E_OTHER_GROUP)
        if gsa.epoch <= max(self._context.epoch, self._other.epoch if self._other else 0):
            raise UsageError(E_OLD_EPOCH)
        self._forget_other()
        self._other = Context(gsa)

    def activate(self, now):
        """Make the next epoch the current one, and read the previous one for the grace period. There is no way back.

        Raises UsageError if no next epoch is held, and StoreError; then it can be called again.
        """
        if self._other is None or self._grace_end is not None:
            raise UsageError(E_NO_NEXT_EPOCH)
        self._enter(self._other, self._context, now)

    def held(self, epoch):
        """Return the Context of an epoch, of the one in use for 0, or None if it is not held."""
        for context in (self._context, self._other):
            if context and epoch in (0, context.epoch):
                return context
        return None

    def report(self, epoch):
        """Return what a group manager asks: struct { uint16 epoch; uint64 next; uint8 flags; uint32 forged; }.

        It is of `epoch` if that is held, else of the epoch in use. next: our next sequence number, or 0. flags: 1 clash, 2 the
        epoch is in use. forged: the most records that did not verify under one key. After the end of the group, all is 0.
        """
        context = self.held(epoch) or self._context
        if context is None:
            return bytes(15)
        sent = 0 if context.own_id is None or context.clash else context.own_next
        forged = 0
        for sender in context.senders.values():
            forged = max(forged, sender.forged)
        return pack(">HQBI", context.epoch, sent, context.clash | (context is self._context) << 1, forged)

    def forged(self):
        """Return {(epoch, SenderID): number of records whose tag did not verify} for the keys held.

        Re-key an AES-CCM_8 key after about 2**7 of them (RFC 9147, section 4.5.3).
        """
        found = {}
        for context in (self._context, self._other):
            if context:
                for sender_id, sender in context.senders.items():
                    if sender.forged:
                        found[context.epoch, sender_id] = sender.forged
        return found

    def close(self):
        """Overwrite all keys; only the counts remain. Sequence numbers that are reserved are returned to the store, if it works."""
        context, counters = self._context, self.counters
        self._end(UsageError, E_CLOSED)  # first: nothing is sealed from here on
        if context and context.own_mark > context.own_next:
            try:
                counters.reserve(counters.name("t", context.own_id), context.base, context.own_mark, context.own_next)
            except Exception:  # of a store, or for lack of memory: all is closed
                pass  # a restart skips them

    def _drop(self, kind):
        self.dropped[kind] = self.dropped.get(kind, 0) + 1
        return NONE

    def _seal(self, context, data):
        sequence = context.own_next
        if sequence >= context.end:
            raise LimitError(E_SPENT)
        context.own_next = sequence + 1  # first: no failure below can use the number twice
        if sequence >= context.own_mark:
            end = sequence + self._reserve_records
            counter = context.senders[context.own_id].counter
            context.own_mark = self.counters.reserve(counter, context.base, context.own_mark, end)
        return context.seal(sequence, data)

    def _note_clash(self, context):
        """Stop sending for the rest of an epoch, because another device has our SenderID.

        The record is authentic and has our SenderID and a sequence number that we have not used, so it is neither looped back nor
        replayed. Of two such devices, the one with the lower sequence numbers detects the clash.
        """
        self._drop("clash")
        context.clash = True
        context.own_next = max(context.own_next, context.end)
        try:
            self.counters.mark("c", context.own_id, context.epoch)  # also after a reboot
        except Exception:  # whatever a store raises
            pass  # after a restart, sending fails as well, or the clash is detected again
        return CLASH

    # Epochs and lifetimes.

    def _enter(self, context, previous, now):
        """Make `context` the current one. If it raises StoreError or UsageError, it can be called again."""
        lived_s = self.counters.begin(context.epoch)
        for sender_id, sender in context.senders.items():
            sender.counter = self.counters.name("t" if sender_id == context.own_id else "r", sender_id)
            sender.next = self.counters.resume(sender.counter, context.epoch, sender.next)
            sender.mark = sender.next or 0
        if context.own_id is not None:
            if self.counters.marked("c", context.own_id, context.epoch):
                context.clash = True
            next_sequence = context.senders[context.own_id].next
            if next_sequence is None:
                raise StoreError(E_COUNTER_LOST)
            context.own_next = context.own_mark = next_sequence
        for sender in previous.senders.values() if previous else ():
            sender.mark = 1 << 48  # above every sequence number, because the store now counts the new epoch
        self._context = context
        self._other = previous
        self._halted = self._grace_end = None
        if previous:
            grace_ms = self.grace_ms
            if self._lifetime_end is not None:  # of the previous epoch, whose keys must not outlive it
                left_s = previous.lifetime_s - self._lived_s
                grace_ms = max(0, min(grace_ms, ticks_diff(self._lifetime_end, now) + 1000 * min(left_s, 1 << 19)))
            self._grace_end = ticks_add(now, grace_ms)
        self._lived_s = lived_s
        self._unit_s = 0
        self._count_lifetime(now)

    def _count_lifetime(self, now):
        """Begin the next unit of the epoch's lifetime, or end it: then go on to the next epoch if it is held.

        The store is written ahead, so that a reboot does not prolong the lifetime. Units double from 1 s, so that a short run uses
        up little of it.
        """
        if self._context.lifetime_s:
            left_s = self._context.lifetime_s - self._lived_s
            if left_s <= 0:
                if self._other is None or self._grace_end is not None:
                    self._end(LimitError, E_EXPIRED)
                    self._expired = True
                    return
                self._halted, self._reason = LimitError, E_EXPIRED  # until the next epoch is entered
                self._context.close()
                self._lifetime_end = ticks_add(now, 1000)  # tried again if the store fails
                self._schedule()
                try:
                    self._enter(self._other, None, now)
                except Exception:  # whatever a store raises
                    pass
                return
            self._unit_s = min(2 * self._unit_s or 1, LIFETIME_UNIT_MAX_S, left_s)
            self._lived_s += self._unit_s
            self._lifetime_end = ticks_add(now, self._unit_s * 1000)
            self._schedule()  # before a call that can fail
            try:
                self.counters.live(self._context.epoch, self._lived_s)
            except StoreError:
                pass  # a failed store stops sending and obeying anyway
        else:
            self._lifetime_end = None
            self._schedule()

    def _schedule(self):
        """Set the next deadline."""
        self._due = self._grace_end
        if self._due is None or (self._lifetime_end is not None and ticks_diff(self._lifetime_end, self._due) < 0):
            self._due = self._lifetime_end

    def _forget_other(self):
        if self._other:
            self._other.close()
        self._other = None
        self._grace_end = None
        self._schedule()

    def _end(self, error, reason):
        """Overwrite every key; send() raises error(reason) from now on. Allocates nothing; can be repeated if interrupted."""
        self._halted, self._reason = error, reason
        if self._context:
            self._context.close()
        self._lifetime_end = None
        self._forget_other()
        self._context = self.counters = None  # also whatever lock the store has

    _receive = receive
    try:
        from .native import receive  # in C, where a board has `_dice`
    except ImportError:
        pass
