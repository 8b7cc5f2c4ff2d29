# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The shared context of a group in one epoch, and each sender as an aspect of it (row 5)."""

from dice import record
from dice._compat import const
from dice.crypto.ccm import crypt
from dice.crypto.hmac import p_sha256
from dice.group.gsa import DERIVE_SENDER, K08, UNKNOWN
from dice.replay import Window
from dice.suites import tag_bytes

_KEY_BYTES = const(16)
_BOTH_BYTES = const(20)  # key | salt
_FRAGMENT_AT = const(21)  # behind record header and explicit nonce


def sender_key(tek, gid, epoch, sender_id):
    """Return the 20 bytes key | salt of one sender: P_SHA256(TEK, "dice sender key" | gid | epoch | SenderID).

    `gid` has 4 bytes; epoch and SenderID go in as 16-bit integers, in either layout.
    """
    seed = b"dice sender key" + gid + epoch.to_bytes(2, "big") + sender_id.to_bytes(2, "big")
    return p_sha256(tek, seed, 20)


class Sender(Window):
    """One sender as its listeners see it: its replay window, and what belongs to its key."""

    def __init__(self, at):
        super().__init__(None)
        self.at = at  # where its key | salt begins among the keys
        self.mark = 0  # sequence number below which the store knows all as seen
        self.forged = 0  # records whose tag did not verify under this key (RFC 9147, section 4.5.3)


class Context:
    """Keys and sequence numbers of one epoch."""

    def __init__(self, gsa):
        self.epoch = gsa.epoch
        self.id = gsa.own_id  # SenderID, or ListenerID where it is not among the senders
        self.own_id = None  # SenderID
        self.own_next = 0  # sequence number of our next record
        self.own_mark = 0  # the first that is not reserved in the store
        self.end = gsa.budget  # past the last that may be sealed
        self.clash = False  # another device sends with our SenderID
        self.lifetime_s = gsa.lifetime_s
        self.senders = {}
        self.tag_bytes = tag_bytes(gsa.suite)
        self._one_byte_ids = gsa.layout == K08
        self.known = {}  # sequence numbers that a fresh GSA tells, by SenderID; until the epoch is entered
        keys = bytearray(gsa.key)
        if gsa.derive == DERIVE_SENDER:
            keys = bytearray(len(gsa.senders) * _BOTH_BYTES)
        self._keys = memoryview(keys)
        for sender_id, following in gsa.senders:
            if sender_id == gsa.own_id:
                self.own_id = sender_id
                following = gsa.own_next
            if gsa.fresh and following != UNKNOWN:
                self.known[sender_id] = max(0, following - (gsa.epoch << 48))
            at = 0
            if gsa.derive == DERIVE_SENDER:
                at = len(self.senders) * _BOTH_BYTES
                keys[at : at + _BOTH_BYTES] = sender_key(gsa.key, gsa.gid, gsa.epoch, sender_id)
            self.senders[sender_id] = Sender(at)

    def split(self, high, low):
        """Return (SenderID, sequence number) of the high 16 and low 32 bits of a record's sequence number."""
        if self._one_byte_ids:
            return high >> 8, low if not high & 0xFF else (high & 0xFF) << 32 | low
        return high, low

    def number(self, sender_id, sequence):
        """Return the 48 bits that split() takes apart."""
        return (sender_id << (40 if self._one_byte_ids else 32)) + sequence

    def secret(self, sender_id):
        """Return key | salt of a sender, a memoryview of 20 bytes."""
        at = self.senders[sender_id].at
        return self._keys[at : at + _BOTH_BYTES]

    def seal(self, sequence, plaintext):
        """Return our record number `sequence`."""
        keys = self.secret(self.own_id)
        number = self.number(self.own_id, sequence)
        key, salt = keys[:_KEY_BYTES], keys[_KEY_BYTES:]
        return record.seal(key, salt, self.tag_bytes, record.APPLICATION_DATA, self.epoch, number, plaintext)

    def open(self, sender, datagram):
        """Return the plaintext of an application-data record, or None, and count it, if its tag does not verify."""
        keys = self._keys[sender.at : sender.at + _BOTH_BYTES]
        plaintext = crypt(keys[:_KEY_BYTES], keys[_KEY_BYTES:], datagram, _FRAGMENT_AT, self.tag_bytes, None, None)
        if plaintext is None:
            sender.forged += 1
        return plaintext

    def close(self):
        """Overwrite the keys."""
        self._keys[:] = bytes(len(self._keys))
        self.senders.clear()
