# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Secured unicast answers to group messages, with a key for each pair of listener and sender.

As draft-tiloca-dice-secure-groupcomm-00 sketches it, and docs/protocol.md decides. An answer is a record with the ListenerID in the
place of the SenderID and the sequence number of the message that it answers: a listener accepts each message at most once, also
across reboots, so it needs no counter of its own, and no nonce is used twice.
"""

from .. import record
from ..codes import CONTENT_APPLICATION_DATA
from ..crypto.hmac import p_sha256
from ..errors import UsageError
from ..reasons import E_ANSWERED, E_NO_LISTENER_ID, E_NOT_A_SENDER


def _keys(context, sender_id, listener_id):
    """Return (key, salt) of a pair: P_SHA256(the sender's key | salt, "dice response key" | epoch | SenderID | ListenerID)."""
    seed = b"dice response key"
    for number in (context.epoch, sender_id, listener_id):
        seed += number.to_bytes(2, "big")
    suite = context.suite
    keys = p_sha256(context.secret(sender_id), seed, suite.keys_bytes)
    i = suite.key_bytes
    return keys[:i], keys[i:]


class ReceivedRequest:
    """A message that `member` has just accepted, to be answered once; there is one of each message."""

    def __init__(self, member):
        """Take it over from the member; raises UsageError where that was done, or nothing was accepted."""
        self._member = member
        if member.sender is None or member.sequence is None:
            raise UsageError(E_ANSWERED)
        self._number = member.epoch, member.sender, member.sequence
        member.sequence = None

    def answer(self, data):
        """Return the datagram, a bytearray, to send to where the message came from; `data` is bytes.

        Raises UsageError at a second call, in an epoch that is over, and on a device without an id of its own.
        """
        if self._number is None:
            raise UsageError(E_ANSWERED)
        epoch, sender_id, sequence = self._number
        self._number = None  # whatever happens from here on
        context = self._member.held(epoch)
        if context is None:
            raise UsageError(E_ANSWERED)
        if context.id is None:
            raise UsageError(E_NO_LISTENER_ID)
        key, salt = _keys(context, sender_id, context.id)
        number = context.number(context.id, sequence)
        return record.seal(context.suite, key, salt, CONTENT_APPLICATION_DATA, epoch, number, data)


class PendingRequest:
    """A message to the group, as sealed, whose answers are wanted; at most one of each listener is taken.

    `answers` maps ListenerIDs to what they said, `dropped` counts what was no answer to this message.
    """

    def __init__(self, member, datagram):
        """`datagram` is what member.transmit() returned. Raises UsageError where it is not the member's."""
        self._member = member
        self._epoch = datagram[3] << 8 | datagram[4]
        context = member.held(self._epoch)
        if context is None or context.own_id is None:
            raise UsageError(E_NOT_A_SENDER)
        self._sequence = bytes(datagram[5 + context.id_bytes : 11])
        self.answers = {}
        self.dropped = 0

    def receive(self, datagram):
        """Take a datagram; return the ListenerID of an authentic first answer, or else None. Nothing that is received can raise."""
        context = self._member.held(self._epoch)
        if context is not None and record.well_formed(datagram):
            at = 5 + context.id_bytes
            listener_id = int.from_bytes(datagram[5:at], "big")
            if datagram[at:11] == self._sequence and listener_id not in self.answers:
                key, salt = _keys(context, context.own_id, listener_id)
                answer = record.open(context.suite, key, salt, datagram)
                if answer is not None:
                    self.answers[listener_id] = answer
                    return listener_id
        self.dropped += 1
        return None
