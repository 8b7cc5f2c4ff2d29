# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The shared context of a group in one epoch, and each sender as an aspect of it."""

from ..codes import CONTENT_APPLICATION_DATA
from ..crypto.hmac import p_sha256
from ..limits import WINDOW_BYTES
from ..record import seal
from ..replay import Window
from ..suites import SUITES
from .gsa import DERIVE_SENDER, K08, UNKNOWN


def sender_key(tek, gid, epoch, sender_id, keys_bytes=20):
    """Return key | salt of one sender, `keys_bytes` of P_SHA256(TEK, "dice sender key" | gid | epoch | SenderID).

    `gid` has 4 bytes; epoch and SenderID are 16-bit integers in either layout.
    """
    seed = b"dice sender key" + gid + epoch.to_bytes(2, "big") + sender_id.to_bytes(2, "big")
    return p_sha256(tek, seed, keys_bytes)


class Sender(Window):
    """The state of one sender at its listeners: key | salt, and behind it the replay window.

    All sequence numbers below `mark` are recorded in the store as received, under the name `counter`.
    """

    forged = 0  # records whose tag did not verify under this key (RFC 9147, section 4.5.3)


class Context:
    """Keys and sequence numbers of one epoch."""

    clash = False  # another device sends with our SenderID

    def __init__(self, gsa):
        self.epoch = gsa.epoch
        self.base = gsa.epoch << 48  # of its counters in the store; an attribute, because making a long integer is slow
        self.id = gsa.own_id  # SenderID, or ListenerID if it is not that of a sender
        self.own_id = None  # SenderID
        self.own_next = 0  # sequence number of our next record
        self.own_mark = 0  # the first that is not reserved in the store
        self.end = gsa.budget  # one past the last sequence number that may be sealed
        self.lifetime_s = gsa.lifetime_s
        self.senders = {}
        self.cipher = SUITES[gsa.suite].cipher
        self.id_bytes = 1 if gsa.layout == K08 else 2  # length of the SenderID, which begins a record's sequence number
        _, _, _, _, _, keys_bytes = self.cipher
        state = bytearray(len(gsa.senders) * (keys_bytes + WINDOW_BYTES))
        self.state = memoryview(state)
        at = 0
        for sender_id, next_number in gsa.senders:
            if sender_id == gsa.own_id:
                self.own_id = sender_id
                next_number = gsa.own_next
            # Provisional: from a fresh GSA, until Member._enter reads the store.
            first = None
            if gsa.fresh:
                first = -1 if next_number == UNKNOWN else max(0, next_number - self.base)
            key = gsa.key if gsa.derive != DERIVE_SENDER else sender_key(gsa.key, gsa.gid, gsa.epoch, sender_id, keys_bytes)
            state[at : at + keys_bytes] = key
            at += keys_bytes
            self.senders[sender_id] = Sender(first, state, at)
            at += WINDOW_BYTES

    def number(self, sender_id, sequence):
        """Return the sequence number of a record, 48 bits: SenderID | sequence number."""
        return (sender_id << 48 - 8 * self.id_bytes) + sequence

    def secret(self, sender_id):
        """Return key | salt of a sender, a memoryview."""
        _, _, _, _, _, keys_bytes = self.cipher
        at = self.senders[sender_id].at
        return self.state[at - keys_bytes : at]

    def seal(self, sequence, plaintext):
        """Return our record number `sequence`."""
        cipher = self.cipher
        _, _, _, _, salt_bytes, keys_bytes = cipher
        keys = self.secret(self.own_id)
        number = self.number(self.own_id, sequence)
        i = keys_bytes - salt_bytes
        return seal(cipher, keys[:i], keys[i:], CONTENT_APPLICATION_DATA, self.epoch, number, plaintext)

    def close(self):
        """Overwrite the keys without allocating."""
        for at in range(len(self.state)):
            self.state[at] = 0
        self.senders.clear()
