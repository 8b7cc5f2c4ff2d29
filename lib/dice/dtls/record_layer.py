# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One side's state of the record layer of a DTLS 1.2 association (RFC 6347, section 4.1), and connection ids (RFC 9146) (row 3).

There are two epochs: 0, in plaintext, for the handshake, and 1, protected; nobody renegotiates. The 48-bit sequence numbers
of both start at 0, and a key seals at most KEY_RECORDS_MAX records. With a connection id of c bytes a protected record is

struct {                                       offset
    ContentType type = tls12_cid;               0
    ProtocolVersion version;                    1
    uint16 epoch;                               3
    uint48 sequence_number;                     5
    opaque cid[c];                             11
    uint16 length;                             11 + c
    opaque nonce_explicit[8];                  13 + c
    opaque ciphertext_and_tag[length - 8];     21 + c
} GenericAEADRecord;
"""

from struct import pack_into, unpack_from

from .. import record
from .._compat import const
from ..codes import CONTENT_TLS12_CID, DTLS_1_0, DTLS_1_2
from ..errors import LimitError
from ..limits import RECORD_HEADER_BYTES, RECORD_MIN_BYTES, RECORD_OVERHEAD_MAX_BYTES, RECORD_PLAINTEXT_MAX_BYTES, WINDOW_BYTES
from ..reasons import E_SPENT
from ..replay import Window

_CID_AT = const(11)


def _cid_data(prefix, length):
    """Return what the tag covers beside the plaintext, in a record that `prefix` begins, up to the CID (RFC 9146, section 5)."""
    return b"\xff" * 8 + bytes((CONTENT_TLS12_CID, len(prefix) - _CID_AT)) + prefix + length.to_bytes(2, "big")


def seal_cid(suite, key, salt, content_type, epoch, sequence, plaintext, cid):
    """Return a record with a CID; see record.seal. The content type travels encrypted, behind `plaintext` (RFC 9146, section 4)."""
    crypt, start, _, tag_bytes, _, _ = suite.cipher
    inner = plaintext + bytes((content_type,))
    number = epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    prefix = b"\x19\xfe\xfd" + number + cid
    size = start + len(inner) + tag_bytes - RECORD_HEADER_BYTES
    datagram = bytearray(prefix + size.to_bytes(2, "big") + number + bytes(size - 8))
    crypt(start + len(cid), salt, tag_bytes, number, 0, key, datagram, _cid_data(prefix, len(inner)), inner)
    return datagram


def open_cid(suite, key, salt, datagram, cid_bytes):
    """Return (content type, plaintext) of a well-formed record with a CID of that length; None if its tag does not verify."""
    crypt, start, nonce_at, tag_bytes, _, _ = suite.cipher
    start += cid_bytes
    if nonce_at == RECORD_HEADER_BYTES:
        nonce_at += cid_bytes
    aad = _cid_data(bytes(datagram[: _CID_AT + cid_bytes]), max(0, len(datagram) - start - tag_bytes))
    plaintext = crypt(start, salt, tag_bytes, datagram, nonce_at, key, datagram, aad, None)
    inner = (plaintext or b"").rstrip(b"\0")  # zero padding hides the length (RFC 9146, section 4)
    return (inner[-1], inner[:-1]) if inner else None


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
        self.record_max = RECORD_PLAINTEXT_MAX_BYTES  # plaintext that the peer takes in a record
        self.newest = False  # whether the record opened last was above all before it
        self.forged = False  # whether the tag of the last record failed
        self.dropped = {}
        self.next = 0  # sequence number of our next protected record
        self.end = 0  # past the last that the key may seal
        self.window = None
        self.plain_next = 0  # and of our next one in plaintext
        self.keys = None  # the key block, once there is one
        self.suite = self._write = self._read = None

    def set_keys(self, key_block, is_client, suite):
        """Protect epoch 1 with `suite` and `key_block`, a bytearray: two keys, two write IVs (see dice.dtls.keys)."""
        self.keys = keys = memoryview(key_block)
        i = suite.key_bytes
        j = i + suite.keys_bytes
        client, server = (keys[:i], keys[2 * i : j]), (keys[i : 2 * i], keys[j:])
        self._write, self._read = (client, server) if is_client else (server, client)
        self.suite = suite
        self.end = suite.records_max
        self.window = Window(0, bytearray(WINDOW_BYTES))

    def overhead(self, epoch):
        """Return by how many bytes a record of ours is longer than its plaintext."""
        if not epoch:
            return RECORD_HEADER_BYTES
        overhead = self.suite.overhead if self.suite else RECORD_OVERHEAD_MAX_BYTES
        return overhead + (len(self.peer_cid) + 1 if self.peer_cid else 0)

    def seal(self, content_type, epoch, plaintext):
        """Return a record as a bytearray; raises LimitError where the key has come to its end."""
        if epoch:
            sequence = self.next
            if sequence >= self.end:
                raise LimitError(E_SPENT)
            self.next = sequence + 1  # first of all: whatever happens from here on, the number is gone
            key, salt = self._write
            if self.peer_cid:
                return seal_cid(self.suite, key, salt, content_type, 1, sequence, plaintext, self.peer_cid)
            return record.seal(self.suite, key, salt, content_type, 1, sequence, plaintext)
        datagram = bytearray(RECORD_HEADER_BYTES + len(plaintext))
        pack_into(">BHHHIH", datagram, 0, content_type, DTLS_1_2, 0, 0, self.plain_next, len(plaintext))
        self.plain_next += 1
        datagram[RECORD_HEADER_BYTES:] = plaintext
        return datagram

    def split(self, datagram):
        """Return the length of the datagram's first record, or 0 where it has no whole one; then the rest is dropped."""
        size = len(datagram)
        if size >= RECORD_HEADER_BYTES:
            at = 11 + (len(self.cid) if datagram[0] == CONTENT_TLS12_CID else 0)
            if size >= at + 2:
                end = at + 2 + (datagram[at] << 8 | datagram[at + 1])
                if end <= size and end - at <= RECORD_PLAINTEXT_MAX_BYTES + 64:
                    return end
        return self.drop("malformed")

    def open(self, data):
        """Return (epoch, content type, plaintext) of a record that split() found; None where it was dropped."""
        content_type, version, epoch, high, low = unpack_from(">BHHHI", data)
        self.forged = False
        if epoch == 0:
            if content_type == CONTENT_TLS12_CID or version not in (DTLS_1_2, DTLS_1_0):
                return self.drop("malformed")
            if not self.plain:
                return self.drop("epoch")
            return 0, content_type, bytes(data[RECORD_HEADER_BYTES:])
        if epoch != 1 or not self.window:
            return self.drop("epoch")
        cid_bytes = len(self.cid)
        if version != DTLS_1_2 or len(data) < RECORD_MIN_BYTES + cid_bytes:
            return self.drop("malformed")
        # The peer puts our connection id into all its records, or it has agreed to none (RFC 9146, section 3).
        if (content_type == CONTENT_TLS12_CID) != bool(cid_bytes) or data[11 : 11 + cid_bytes] != self.cid:
            return self.drop("cid")
        sequence = high << 32 | low
        if not self.window.is_fresh(sequence):
            return self.drop("replayed")
        key, salt = self._read
        if cid_bytes:
            opened = open_cid(self.suite, key, salt, data, cid_bytes)
        else:
            opened = content_type, record.open(self.suite, key, salt, data)
        if opened is None or opened[1] is None:
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
        self.window = None  # first: whatever happens from here on, nothing is sealed under what is left of the keys
        self.plain = False
        self.end = 0
        if self.keys:
            self.keys[:] = bytes(len(self.keys))
