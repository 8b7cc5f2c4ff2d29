# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Flights of handshake messages: fragments and datagrams, retransmission, reassembly (RFC 6347, sections 4.2.2 to 4.2.4) (row 3).

    Client                                          Server
    ClientHello             flight 1 -->
                                     <-- flight 2   HelloVerifyRequest
    ClientHello (cookie)    flight 3 -->
                                     <-- flight 4   ServerHello, (ServerKeyExchange), ServerHelloDone
    ClientKeyExchange,
    ChangeCipherSpec,
    Finished                flight 5 -->
                                     <-- flight 6   (NewSessionTicket), ChangeCipherSpec, Finished

A flight is sent again, as a whole, when its timer runs out, and when the last message of the flight that it answers comes
again: then the peer has not heard it. The latter cannot go on for ever, since each flight only ever brings forth the next one:
so a server that cannot open Finished must not answer the ClientKeyExchange before it.

    struct { HandshakeType type; uint24 length; uint16 message_seq; uint24 fragment_offset; uint24 fragment_length; } header;
"""

from .._compat import const, ticks_add
from ..codes import CONTENT_HANDSHAKE
from ..limits import (
    EARLY_MESSAGES_MAX,
    HANDSHAKE_BYTES_MAX,
    HANDSHAKE_HEADER_BYTES,
    MTU_MIN_BYTES,
    RANGES_MAX,
    RETRANSMISSIONS_MAX,
    TIMER_MAX_MS,
)

_PATIENCE = const(2)  # retransmissions before fragments become smaller (RFC 6347, section 4.1.1.1)


class Flight:
    """One flight of ours: what it is made of, how far it is sent, and when it is due again."""

    def __init__(self, items, timer_ms, mtu):
        """Send `items`, each (epoch, content type, a whole message or what a ChangeCipherSpec holds), in datagrams of `mtu`
        bytes."""
        self._items = items
        self._timer_ms = timer_ms
        self._mtu = mtu
        self._sent = 0  # times, but for the first
        self._at = 0  # item to send next
        self._offset = 0  # in its body
        self.due = None

    def start(self, now):
        """Wait for the answer from now on."""
        self.due = ticks_add(now, self._timer_ms)

    def again(self):
        """Send all once more."""
        self._at = self._offset = 0

    def timeout(self, now):
        """Send all once more, and wait for longer; return False where that was done often enough."""
        self._sent += 1
        if self._sent > RETRANSMISSIONS_MAX:
            return False
        self._timer_ms = min(2 * self._timer_ms, TIMER_MAX_MS)
        if self._sent % _PATIENCE == 0:
            self._mtu = max(self._mtu >> 1, MTU_MIN_BYTES)
        self.again()
        self.start(now)
        return True

    def transmit(self, layer):
        """Return the next datagram, or None where all is sent."""
        datagram = bytearray()
        while self._at < len(self._items):
            epoch, content_type, message = self._items[self._at]
            left = size = len(message)
            room = self._mtu - len(datagram) - layer.overhead(epoch)
            if content_type == CONTENT_HANDSHAKE:
                left -= HANDSHAKE_HEADER_BYTES + self._offset
                room = min(room, layer.record_max) - HANDSHAKE_HEADER_BYTES
                size = min(left, room)
            if datagram and left > room:
                break
            size = max(size, min(left, 1))  # however long the peer's connection id is
            if content_type == CONTENT_HANDSHAKE:
                start = HANDSHAKE_HEADER_BYTES + self._offset
                place = self._offset.to_bytes(3, "big") + size.to_bytes(3, "big")
                message = message[:6] + place + message[start : start + size]
            datagram.extend(layer.seal(content_type, epoch, message))
            self._offset += size
            if size == left:
                self._offset = 0
                self._at += 1
        return datagram or None


class Reassembly:
    """Puts messages together again from fragments that come in any order, more than once, overlapping, or not at all.

    What lies ahead of the message that is due is kept too, within HANDSHAKE_BYTES_MAX and EARLY_MESSAGES_MAX in all.
    """

    def __init__(self, sequence):
        self.next = sequence  # message_seq that is due
        self._messages = {}  # message_seq: [epoch, message with its header, ranges of it that have come]

    def add(self, epoch, kind, length, sequence, offset, part):
        """Take in a fragment; return False where it is not wanted."""
        if not 0 <= sequence - self.next < EARLY_MESSAGES_MAX or offset + len(part) > length:
            return False
        found = self._messages.get(sequence)
        if found is None:
            size = length
            for _, message, _ in self._messages.values():
                size += len(message)
            if size > HANDSHAKE_BYTES_MAX:
                return False
            message = bytearray(HANDSHAKE_HEADER_BYTES + length)
            message[0] = kind
            message[1:4] = message[9:12] = length.to_bytes(3, "big")
            message[4:6] = sequence.to_bytes(2, "big")
            self._messages[sequence] = found = [epoch, message, []]
        message = found[1]
        if found[0] != epoch or message[0] != kind or len(message) != HANDSHAKE_HEADER_BYTES + length:
            return False
        ranges = _merge(found[2], offset, offset + len(part))
        if len(ranges) > RANGES_MAX:
            return False
        start = HANDSHAKE_HEADER_BYTES + offset
        message[start : start + len(part)] = part
        found[2] = ranges
        return True

    def take(self):
        """Return (epoch, message with its header as if it had come in one fragment) of the message that is due, or None."""
        found = self._messages.get(self.next)
        if not found or found[2] != [(0, len(found[1]) - HANDSHAKE_HEADER_BYTES)]:
            return None
        del self._messages[self.next]
        self.next += 1
        return found[0], found[1]


def _merge(ranges, start, end):
    """Return `ranges` and the one from `start` to `end` in order, with those that touch each other made one."""
    merged = []
    for range_ in ranges:
        if range_[1] < start or range_[0] > end:
            merged.append(range_)
        else:
            start = min(start, range_[0])
            end = max(end, range_[1])
    merged.append((start, end))
    merged.sort()
    return merged
