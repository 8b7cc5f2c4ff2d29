# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One side's record layer of a DTLS 1.2 association (RFC 6347, section 4.1), with connection ids (RFC 9146).

Each epoch has its keys and its 48-bit sequence numbers, which start at 0: epoch 0 has no keys, so its records are in plaintext;
set_keys() begins the next one. Nobody renegotiates. With a connection id of c bytes a protected record is

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

from .._compat import const
from ..codes import CONTENT_TLS12_CID, DTLS_1_0, DTLS_1_2
from ..errors import LimitError
from ..limits import DATAGRAM_MAX_BYTES, RECORD_HEADER_BYTES, RECORD_MIN_BYTES, RECORD_PLAINTEXT_MAX_BYTES, WINDOW_BYTES
from ..reasons import E_SPENT
from ..replay import Window

try:
    from ..crypto.native import open, seal  # in C
except ImportError:
    from ..record import open, seal

_CID_AT = const(11)


def _cid_data(prefix, length):
    """Return what the tag covers beside the plaintext, in a record that `prefix` begins, up to the CID (RFC 9146, section 5)."""
    return b"\xff" * 8 + bytes((CONTENT_TLS12_CID, len(prefix) - _CID_AT)) + prefix + length.to_bytes(2, "big")


def seal_cid(cipher, key, salt, content_type, epoch, sequence, plaintext, cid):
    """Return a record with a CID; see record.seal. The content type travels encrypted, behind `plaintext` (RFC 9146, section 4)."""
    crypt, start, _, tag_bytes, _, _ = cipher
    inner = plaintext + bytes((content_type,))
    number = epoch.to_bytes(2, "big") + sequence.to_bytes(6, "big")
    prefix = b"\x19\xfe\xfd" + number + cid
    size = start + len(inner) + tag_bytes - RECORD_HEADER_BYTES
    datagram = bytearray(prefix + size.to_bytes(2, "big") + number + bytes(size - 8))
    crypt(start + len(cid), salt, tag_bytes, number, 0, key, datagram, _cid_data(prefix, len(inner)), inner)
    return datagram


def open_cid(cipher, key, salt, datagram, cid_bytes):
    """Return (content type, plaintext) of a well-formed record with a CID of that length; None if its tag does not verify."""
    crypt, start, nonce_at, tag_bytes, _, _ = cipher
    start += cid_bytes
    if nonce_at == RECORD_HEADER_BYTES:
        nonce_at += cid_bytes
    aad = _cid_data(bytes(datagram[: _CID_AT + cid_bytes]), max(0, len(datagram) - start - tag_bytes))
    plaintext = crypt(start, salt, tag_bytes, datagram, nonce_at, key, datagram, aad, None)
    inner = (plaintext or b"").rstrip(b"\0")  # zero padding hides the length (RFC 9146, section 4)
    return (inner[-1], inner[:-1]) if inner else None


class Epoch:
    """Keys and sequence numbers of one epoch; without a suite its records are in plaintext."""

    def __init__(self, sequence, suite=None, write=None, read=None):
        """Number our records from `sequence` on; `write` and `read` are (key, salt)."""
        self.suite = suite
        self.cipher = suite.cipher if suite else None
        self.write = write
        self.read = read
        self.next = sequence  # of our next record
        self.end = suite.records_max if suite else 0  # past the last that we may seal
        self.window = Window(0, bytearray(WINDOW_BYTES)) if suite else None


class RecordLayer:
    """Seals what goes out, opens what comes in, and counts what was dropped.

    A session is given one. It calls seal(), split(), epoch_of(), open(), overhead(), set_keys(), drop() and close(), and reads
    and sets `cid`, `peer_cid`, `record_max`, `epoch`, `oldest`, `newest`, `forged` and `dropped`. `dropped` counts records by
    kind:

      malformed   not a record of DTLS 1.2
      long        longer than any that we can send
      epoch       of an epoch that is not read: in plaintext after the handshake, or beyond it
      cid         with another connection id than ours
      replayed    seen before, or older than the replay window
      forged      the tag does not verify
    and whatever the session adds.
    """

    def __init__(self, sequence=0):
        """Number our records in plaintext from `sequence` on."""
        self.cid = b""  # in protected records that we read; b"" for records without one
        self.peer_cid = b""  # in those that we write
        self.record_max = RECORD_PLAINTEXT_MAX_BYTES  # the longest plaintext of a record that the peer accepts
        self.newest = False  # whether the record opened last is authentic and newer than all before it
        self.forged = False  # whether the tag of the last record failed
        self.dropped = {}
        self.epochs = {0: Epoch(sequence)}  # by number
        self.epoch = 0  # the latest that has keys
        self.oldest = 0  # the first that is still read
        self.keys = None  # the key block, once there is one

    def set_keys(self, key_block, is_client, suite):
        """Begin the next epoch with `suite` and `key_block`, a bytearray: two keys, two write IVs (see dice.dtls.handshake)."""
        self.keys = keys = memoryview(key_block)
        i = suite.key_bytes
        j = i + suite.keys_bytes
        client, server = (keys[:i], keys[2 * i : j]), (keys[i : 2 * i], keys[j:])
        self.epochs[self.epoch + 1] = Epoch(0, suite, client, server) if is_client else Epoch(0, suite, server, client)
        self.epoch += 1

    def overhead(self, epoch):
        """Return by how many bytes a record of ours is longer than its plaintext."""
        suite = self.epochs[epoch].suite
        return suite.overhead + (len(self.peer_cid) + 1 if self.peer_cid else 0) if suite else RECORD_HEADER_BYTES

    def seal(self, content_type, epoch, plaintext):
        """Return a record as a bytearray; raises LimitError if the key is spent, or there is none."""
        keys = self.epochs.get(epoch)
        if keys is None or (keys.cipher and keys.next >= keys.end):
            raise LimitError(E_SPENT)
        cipher = keys.cipher
        sequence = keys.next
        keys.next = sequence + 1  # first of all: whatever happens from here on, the number is gone
        if cipher:
            key, salt = keys.write
            if self.peer_cid:
                return seal_cid(cipher, key, salt, content_type, epoch, sequence, plaintext, self.peer_cid)
            return seal(cipher, key, salt, content_type, epoch, sequence, plaintext)
        datagram = bytearray(RECORD_HEADER_BYTES + len(plaintext))
        pack_into(">BHHHIH", datagram, 0, content_type, DTLS_1_2, epoch, 0, sequence, len(plaintext))
        datagram[RECORD_HEADER_BYTES:] = plaintext
        return datagram

    def split(self, datagram):
        """Return the length of the datagram's first record, or 0 if no whole record is left; then the rest is dropped."""
        size = len(datagram)
        if size >= RECORD_HEADER_BYTES:
            at = 11 + (len(self.cid) if datagram[0] == CONTENT_TLS12_CID else 0)
            if size >= at + 2:
                end = at + 2 + (datagram[at] << 8 | datagram[at + 1])
                if end > DATAGRAM_MAX_BYTES:
                    return self.drop("long")
                if end <= size:
                    return end
        return self.drop("malformed")

    def epoch_of(self, data):
        """Return the epoch of a record that split() found, whether it has keys or not."""
        return data[3] << 8 | data[4]

    def open(self, data):
        """Return (epoch, content type, plaintext) of a record that split() found, or None if it was dropped."""
        content_type, version, epoch, high, low = unpack_from(">BHHHI", data)
        self.newest = self.forged = False
        keys = self.epochs.get(epoch)
        if keys is None:
            return self.drop("epoch")
        cipher = keys.cipher
        if cipher is None:
            if content_type == CONTENT_TLS12_CID or version not in (DTLS_1_2, DTLS_1_0):
                return self.drop("malformed")
            if epoch < self.oldest:
                return self.drop("epoch")
            return epoch, content_type, bytes(data[RECORD_HEADER_BYTES:])
        cid_bytes = len(self.cid)
        if version != DTLS_1_2 or len(data) < RECORD_MIN_BYTES + cid_bytes:
            return self.drop("malformed")
        # The peer puts our connection id into all its records, or it has agreed to none (RFC 9146, section 3).
        if (content_type == CONTENT_TLS12_CID) != bool(cid_bytes) or data[11 : 11 + cid_bytes] != self.cid:
            return self.drop("cid")
        sequence = high << 32 | low
        window = keys.window
        if not window.is_fresh(sequence):
            return self.drop("replayed")
        key, salt = keys.read
        if cid_bytes:
            opened = open_cid(cipher, key, salt, data, cid_bytes)
            if opened:
                content_type, opened = opened
        else:
            opened = open(cipher, key, salt, data)
        if opened is None:
            self.forged = True
            return self.drop("forged")
        self.newest = sequence >= window.next
        window.see(sequence)
        return epoch, content_type, opened

    def drop(self, kind):
        """Count what was dropped; return None."""
        self.dropped[kind] = self.dropped.get(kind, 0) + 1

    def close(self):
        """Overwrite the keys; nothing can be sealed or opened any more."""
        self.epochs.clear()  # first: whatever happens from here on, nothing is sealed with what is left of the keys
        if self.keys:
            for i in range(len(self.keys)):
                self.keys[i] = 0
