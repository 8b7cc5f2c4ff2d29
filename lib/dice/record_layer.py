# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One side's state of the record layer of a DTLS 1.2 association (RFC 6347, section 4.1; RFC 9146) (row 3).

There are two epochs: 0, in plaintext, for the handshake, and 1, protected; nobody renegotiates. The 48-bit sequence numbers
of both start at 0, and a key seals at most _KEY_RECORDS_MAX records.
"""

from struct import pack_into, unpack_from

from dice import record
from dice._compat import const
from dice.errors import LimitError
from dice.replay import Window

_KEY_RECORDS_MAX = const(1 << 23)
_RECORD_PLAINTEXT_MAX_BYTES = const(1152)

_E_SPENT = const(40)

_VERSION = const(0xFEFD)
_VERSION_1_0 = const(0xFEFF)  # in the record header of a first flight
_HEADER_BYTES = const(13)
_PROTECTED_BYTES = const(21)  # header and explicit nonce
_TLS12_CID = const(25)


class RecordLayer:
    """Seals what goes out, opens what comes in, and counts what was dropped.

    `dropped` counts records by kind:
      malformed   not a record of DTLS 1.2, or too long
      epoch       of an epoch that is not read: in plaintext after the handshake, or beyond it
      cid         with another connection id than ours
      replayed    seen before, or too old to tell
      forged      the tag does not verify
    and whatever the session adds.
    """

    def __init__(self, cid):
        """Read protected records that carry `cid`, bytes; b"" for records without one."""
        self.cid = cid
        self.peer_cid = b""
        self.plain = True  # epoch 0 is read
        self.record_max = _RECORD_PLAINTEXT_MAX_BYTES  # plaintext that the peer takes in a record
        self.newest = False  # whether the record opened last was above all before it
        self.forged = False  # whether the tag of the last record failed
        self.dropped = {}
        self.next = 0  # sequence number of our next protected record
        self.end = _KEY_RECORDS_MAX
        self.window = None
        self._plain_next = 0
        self._keys = None
        self._tag_bytes = 16  # unless the suite says less

    def set_keys(self, key_block, is_client, tag_bytes):
        """Protect epoch 1 by the keys and salts of `key_block`, a bytearray of 40 (see dice.keys)."""
        self._keys = keys = memoryview(key_block)
        ours = 0 if is_client else 16
        self._write_key = keys[ours : ours + 16]
        self._write_salt = keys[32 + ours // 4 : 36 + ours // 4]
        self._read_key = keys[16 - ours : 32 - ours]
        self._read_salt = keys[36 - ours // 4 : 40 - ours // 4]
        self._tag_bytes = tag_bytes
        self.window = Window(0)

    def key_block(self):
        """Return what set_keys() was given, without copying it."""
        return self._keys

    def tag_bytes(self):
        """Return the length of the tag."""
        return self._tag_bytes

    def overhead(self, epoch):
        """Return by how many bytes a record of ours is longer than its plaintext."""
        if not epoch:
            return _HEADER_BYTES
        return _PROTECTED_BYTES + self._tag_bytes + (len(self.peer_cid) + 1 if self.peer_cid else 0)

    def seal(self, content_type, epoch, plaintext):
        """Return a record as a bytearray; raises LimitError where the key has come to its end."""
        if epoch:
            sequence = self.next
            if sequence >= self.end:
                raise LimitError(_E_SPENT)
            self.next = sequence + 1  # first of all: whatever happens from here on, the number is gone
            key, salt = self._write_key, self._write_salt
            return record.seal(key, salt, self._tag_bytes, content_type, 1, sequence, plaintext, self.peer_cid)
        datagram = bytearray(_HEADER_BYTES + len(plaintext))
        pack_into(">BHHHIH", datagram, 0, content_type, _VERSION, 0, 0, self._plain_next, len(plaintext))
        self._plain_next += 1
        datagram[_HEADER_BYTES:] = plaintext
        return datagram

    def answer_from(self, sequence):
        """Number our records in plaintext from `sequence` on, below 2**32, as a server does that kept no state before."""
        self._plain_next = sequence

    def split(self, datagram):
        """Return the length of the datagram's first record, or 0 where it has no whole one; then the rest is dropped."""
        size = len(datagram)
        if size >= _HEADER_BYTES:
            at = 11 + (len(self.cid) if datagram[0] == _TLS12_CID else 0)
            if size >= at + 2:
                end = at + 2 + (datagram[at] << 8 | datagram[at + 1])
                if end <= size and end - at <= _RECORD_PLAINTEXT_MAX_BYTES + 64:
                    return end
        return self.drop("malformed")

    def open(self, data):
        """Return (epoch, content type, plaintext) of a record that split() found; None where it was dropped."""
        content_type, version, epoch, high, low = unpack_from(">BHHHI", data)
        self.forged = False
        if epoch == 0:
            if content_type == _TLS12_CID or version not in (_VERSION, _VERSION_1_0):
                return self.drop("malformed")
            if not self.plain:
                return self.drop("epoch")
            return 0, content_type, bytes(data[_HEADER_BYTES:])
        if epoch != 1 or not self.window:
            return self.drop("epoch")
        cid_bytes = len(self.cid)
        if not record.header(data, cid_bytes):
            return self.drop("malformed")
        # The peer puts our connection id into all its records, or it has agreed to none (RFC 9146, section 3).
        if (content_type == _TLS12_CID) != bool(cid_bytes) or data[11 : 11 + cid_bytes] != self.cid:
            return self.drop("cid")
        sequence = high << 32 | low
        if not self.window.is_fresh(sequence):
            return self.drop("replayed")
        opened = record.open(self._read_key, self._read_salt, self._tag_bytes, data, cid_bytes)
        if opened is None:
            self.forged = True
            return self.drop("forged")
        self.newest = sequence >= self.window.next
        self.window.see(sequence)
        return (1,) + opened

    def drop(self, kind):
        """Count what was dropped; return None."""
        self.dropped[kind] = self.dropped.get(kind, 0) + 1

    def close(self):
        """Overwrite the keys; nothing can be sealed or opened any more."""
        if self._keys:
            self._keys[:] = bytes(len(self._keys))
        self.window = None
        self.plain = False
        self.end = 0
