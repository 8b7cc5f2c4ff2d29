# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Secured unicast answers to group messages, with a key for each pair of listener and sender.

draft-tiloca-dice-secure-groupcomm-00 sketches it; docs/protocol.md, section 12, is normative. An answer is a record with the
ListenerID in the place of the SenderID, and the sequence number of the message that it answers. A listener accepts each message at
most once, also across reboots, so it needs no counter of its own, and no nonce repeats. That rests on the counters of what it has
received. A device that has lost one of them may receive a message again, and another device with the same id receives the same
messages: neither answers until the next epoch.
"""

from .. import record
from .._compat import MICROPYTHON
from ..codes import CONTENT_APPLICATION_DATA
from ..crypto.hmac import p_sha256
from ..errors import LimitError, StoreError, UsageError
from ..limits import ANSWER_RAM_BYTES, ANSWERS_MAX_BYTES, DATAGRAM_MAX_BYTES, RECORD_OVERHEAD_MAX_BYTES
from ..reasons import E_ANSWERED, E_CLASH, E_COUNTER_LOST, E_NO_LISTENER_ID, E_NOT_A_SENDER, E_NOT_BYTES, E_TOO_LONG


def _keys(context, sender_id, listener_id):
    """Return (key, salt) of a pair: P_SHA256(the sender's key | salt, "dice response key" | epoch | SenderID | ListenerID)."""
    seed = b"dice response key"
    for number in (context.epoch, sender_id, listener_id):
        seed += number.to_bytes(2, "big")
    _, _, _, _, salt_bytes, keys_bytes = context.cipher
    keys = p_sha256(context.secret(sender_id), seed, keys_bytes)
    i = keys_bytes - salt_bytes
    return keys[:i], keys[i:]


class ReceivedRequest:
    """A message that `member` has just accepted. It can be answered once."""

    def __init__(self, member):
        """Take the last message of `member`; raises UsageError if it was taken before, or none was accepted."""
        self._member = member
        if member.sender is None or member.sequence is None:
            raise UsageError(E_ANSWERED)
        self._number = member.epoch, member.sender, member.sequence
        member.sequence = None

    def answer(self, data):
        """Return the datagram to send to the source of the message, a bytearray; `data` is bytes, bytearray or memoryview.

        Raises UsageError for data that is too long, for a second answer, after the end of the epoch, and on a device without an id;
        StoreError if this device has lost a counter in this epoch, and LimitError if another device has its SenderID.
        """
        if self._number is None:
            raise UsageError(E_ANSWERED)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(E_NOT_BYTES)
        data = bytes(data)  # also of wider items
        if len(data) > DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES:
            raise UsageError(E_TOO_LONG)
        epoch, sender_id, sequence = self._number
        self._number = None  # also if sealing fails
        context = self._member.held(epoch)
        if context is None:
            raise UsageError(E_ANSWERED)
        if context.id is None:
            raise UsageError(E_NO_LISTENER_ID)
        if context.clash:
            raise LimitError(E_CLASH)
        if self._member.counters.marked("a", 0, epoch):
            raise StoreError(E_COUNTER_LOST)
        key, salt = _keys(context, sender_id, context.id)
        number = context.number(context.id, sequence)
        return record.seal(context.cipher, key, salt, CONTENT_APPLICATION_DATA, epoch, number, data)


class PendingRequest:
    """A message of ours to the group, of which answers are received, at most one of each listener.

    `answers` is {ListenerID: bytes}; `dropped` counts the datagrams that are not an answer to this message, and answers for which
    there was no room: any member can forge those of all ListenerIDs, so they may take ANSWERS_MAX_BYTES.
    """

    def __init__(self, member, datagram):
        """`datagram` is the result of member.transmit(). Raises UsageError if the member is not its sender."""
        self._member = member
        self._epoch = datagram[3] << 8 | datagram[4]
        context = member.held(self._epoch)
        if context is None or context.own_id is None:
            raise UsageError(E_NOT_A_SENDER)
        self._sequence = bytes(datagram[5 + context.id_bytes : 11])
        self._room = ANSWERS_MAX_BYTES if MICROPYTHON else 16 * ANSWERS_MAX_BYTES
        self.answers = {}
        self.dropped = 0

    def receive(self, datagram):
        """Process a datagram; return the ListenerID of an authentic first answer, else None. No datagram can raise."""
        context = self._member.held(self._epoch)
        if context is not None and record.well_formed(datagram):
            at = 5 + context.id_bytes
            listener_id = int.from_bytes(datagram[5:at], "big")
            room = self._room - len(datagram) - ANSWER_RAM_BYTES
            if datagram[at:11] == self._sequence and listener_id not in self.answers and room >= 0:
                key, salt = _keys(context, context.own_id, listener_id)
                answer = record.open(context.cipher, key, salt, datagram)
                if answer is not None:
                    self.answers[listener_id] = answer
                    self._room = room
                    return listener_id
        self.dropped += 1
        return None
