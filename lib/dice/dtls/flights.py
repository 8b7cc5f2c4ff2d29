# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Flights of handshake messages: fragments and datagrams, retransmission, reassembly (RFC 6347, sections 4.2.2 to 4.2.4).

    Client                                          Server
    ClientHello             flight 1 -->
                                     <-- flight 2   HelloVerifyRequest
    ClientHello (cookie)    flight 3 -->
                                     <-- flight 4   ServerHello, (ServerKeyExchange), ServerHelloDone
    ClientKeyExchange,
    ChangeCipherSpec,
    Finished                flight 5 -->
                                     <-- flight 6   (NewSessionTicket), ChangeCipherSpec, Finished

A flight is retransmitted as a whole when its timer expires, or when the peer repeats the last message of its previous flight (ours
was lost). Two sides that cannot agree, and answer each other at once, must not fill the air with that: a repetition causes at most
one retransmission in REPEAT_MIN_MS, and REPEATS_MAX for each flight. A server that cannot open Finished must not answer the
ClientKeyExchange before it. Flights 4 and 5 also have the messages of a key exchange (see handshake.KeyExchange).

    struct { HandshakeType type; uint24 length; uint16 message_seq; uint24 fragment_offset; uint24 fragment_length; } header;
"""

from .._compat import const, ticks_add
from ..codes import CONTENT_HANDSHAKE
from ..limits import (
    HANDSHAKE_HEADER_BYTES,
    MTU_MIN_BYTES,
    RANGES_MAX,
    RETRANSMISSIONS_MAX,
    TIMER_MAX_MS,
)

_PATIENCE = const(2)  # retransmissions before fragments become smaller (RFC 6347, section 4.1.1.1)


class Flight:
    """One flight of ours: its messages, how far it is sent, and when it is retransmitted."""

    def __init__(self, items, timer_ms, mtu):
        """Send `items`, each (epoch, content type, a whole message or the body of a ChangeCipherSpec), in datagrams of `mtu`
        bytes."""
        self._items = items
        self._timer_ms = timer_ms
        self._mtu = mtu
        self._repeats = 0
        self._at = 0  # item to send next
        self._offset = 0  # in its body
        self.due = None

    def start(self, now):
        """Start the timer."""
        self.due = ticks_add(now, self._timer_ms)

    def restart(self):
        """Retransmit all."""
        self._at = self._offset = 0

    def timeout(self, now):
        """Retransmit all, and wait for longer; return False if it was done RETRANSMISSIONS_MAX times."""
        self._repeats += 1
        if self._repeats > RETRANSMISSIONS_MAX:
            return False
        self._timer_ms = min(2 * self._timer_ms, TIMER_MAX_MS)
        if self._repeats % _PATIENCE == 0:
            self._mtu = max(self._mtu >> 1, MTU_MIN_BYTES)
        self.restart()
        self.start(now)
        return True

    def transmit(self, layer):
        """Return the next datagram, or None if all is sent."""
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
    """Reassembles messages from fragments that arrive in any order, more than once, overlapping, or not at all.

    Messages beyond the one that is due are kept too. `limits`, a handshake.KeyExchange, has bounds for all of them: `bytes_max` and
    `messages_max`. The one that is due has precedence.
    """

    def __init__(self, sequence, limits):
        self.next = sequence  # message_seq that is due
        self._limits = limits
        self._messages = {}  # message_seq: (epoch, message with its header, ranges of it that were received)

    def add(self, epoch, kind, length, sequence, offset, part):
        """Process a fragment; return False if it is refused."""
        if not 0 <= sequence - self.next < self._limits.messages_max or offset + len(part) > length:
            return False
        found = self._messages.get(sequence)
        if found is None:
            size = length
            for _, message, _ in self._messages.values():
                size += len(message)
            if size > self._limits.bytes_max:
                if sequence != self.next or length > self._limits.bytes_max:
                    return False
                self._messages = {}
            message = bytearray(HANDSHAKE_HEADER_BYTES + length)
            message[0] = kind
            message[1:4] = message[9:12] = length.to_bytes(3, "big")
            message[4:6] = sequence.to_bytes(2, "big")
            self._messages[sequence] = found = epoch, message, ()
        first_epoch, message, ranges = found
        if first_epoch != epoch or message[0] != kind or len(message) != HANDSHAKE_HEADER_BYTES + length:
            return False
        ranges = _merge(ranges, offset, offset + len(part))
        if len(ranges) > RANGES_MAX:
            return False
        start = HANDSHAKE_HEADER_BYTES + offset
        message[start : start + len(part)] = part
        self._messages[sequence] = epoch, message, ranges
        return True

    def take(self):
        """Return the message that is due, with its header as if it had come in one fragment, or None if it is not complete."""
        found = self._messages.get(self.next)
        if not found:
            return None
        _, message, ranges = found
        if ranges != [(0, len(message) - HANDSHAKE_HEADER_BYTES)]:
            return None
        del self._messages[self.next]
        self.next += 1
        return message


def _merge(ranges, start, end):
    """Return `ranges` and the one from `start` to `end` in order, joined if they touch."""
    merged = []
    for first, last in ranges:
        if last < start or first > end:
            merged.append((first, last))
        else:
            start = min(start, first)
            end = max(end, last)
    merged.append((start, end))
    merged.sort()
    return merged
