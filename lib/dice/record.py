# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Protected records of DTLS 1.2 with AES-CCM (RFC 6347, section 4.1; RFC 6655) (row 2).

struct {                                       offset
    ContentType type;                           0
    ProtocolVersion version;                    1
    uint16 epoch;                               3
    uint48 sequence_number;                     5
    uint16 length;                             11
    opaque nonce_explicit[8];                  13
    opaque ciphertext_and_tag[length - 8];     21
} GenericAEADRecord;
"""

from struct import pack_into

from .codes import DTLS_1_2
from .crypto import crypt
from .limits import CIPHERTEXT_AT, DATAGRAM_MAX_BYTES, RECORD_HEADER_BYTES


def seal(key, salt, tag_bytes, content_type, epoch, sequence, plaintext):
    """Return a record as a new bytearray.

    `key` has 16 bytes and `salt`, the write IV, 4; (epoch, sequence) must never have been used with that key. `plaintext` is bytes.
    """
    datagram = bytearray(CIPHERTEXT_AT + len(plaintext) + tag_bytes)
    high = sequence >> 32  # in halves: a long integer takes longer than all of them
    low = sequence & 0xFFFFFFFF if high else sequence
    size = len(datagram) - RECORD_HEADER_BYTES
    pack_into(">BHHHIHHHI", datagram, 0, content_type, DTLS_1_2, epoch, high, low, size, epoch, high, low)
    crypt(CIPHERTEXT_AT, salt, tag_bytes, key, datagram, None, plaintext)
    return datagram


def well_formed(datagram):
    """Tell whether a datagram is one protected record, no longer than DATAGRAM_MAX_BYTES."""
    size = len(datagram)
    return (
        CIPHERTEXT_AT <= size <= DATAGRAM_MAX_BYTES
        and datagram[1] << 8 | datagram[2] == DTLS_1_2
        and datagram[11] << 8 | datagram[12] == size - RECORD_HEADER_BYTES
    )


def open(key, salt, tag_bytes, datagram):
    """Return the plaintext of a record that is well-formed; None if its tag does not verify.

    The nonce's explicit part is what stands on the wire (RFC 6655, section 3).
    """
    return crypt(CIPHERTEXT_AT, salt, tag_bytes, key, datagram, None, None)
