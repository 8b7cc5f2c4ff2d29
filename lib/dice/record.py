# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Protected records of DTLS 1.2 (RFC 6347, section 4.1), whatever their cipher suite. With an explicit nonce (RFC 6655):

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

from ._compat import const
from .codes import DTLS_1_2
from .limits import DATAGRAM_MAX_BYTES, RECORD_HEADER_BYTES, RECORD_MIN_BYTES

_NUMBER_AT = const(3)  # of epoch | sequence number


def seal(cipher, key, salt, content_type, epoch, sequence, plaintext):
    """Return a record as a new bytearray.

    `cipher` is that of a suite (see dice.suites), `key` and `salt` (the write IV) have the lengths that it says. (epoch, sequence)
    must never have been used with that key. `plaintext` is bytes.
    """
    crypt, start, _, tag_bytes, _, _ = cipher
    size = start + len(plaintext) + tag_bytes
    datagram = bytearray(size)
    high = sequence >> 32  # in halves, because one long integer takes longer than all of them
    low = sequence & 0xFFFFFFFF if high else sequence
    size -= RECORD_HEADER_BYTES
    # If a suite has no explicit nonce, the ciphertext overwrites it.
    pack_into(">BHHHIHHHI", datagram, 0, content_type, DTLS_1_2, epoch, high, low, size, epoch, high, low)
    crypt(start, salt, tag_bytes, datagram, _NUMBER_AT, key, datagram, None, plaintext)
    return datagram


def well_formed(datagram):
    """Return whether a datagram is one protected record of at most DATAGRAM_MAX_BYTES."""
    size = len(datagram)
    return (
        RECORD_MIN_BYTES <= size <= DATAGRAM_MAX_BYTES
        and datagram[1] << 8 | datagram[2] == DTLS_1_2
        and datagram[11] << 8 | datagram[12] == size - RECORD_HEADER_BYTES
    )


def open(cipher, key, salt, datagram):
    """Return the plaintext of a well-formed record, or None if its tag does not verify.

    The explicit part of the nonce is the one on the wire (RFC 6655, section 3).
    """
    crypt, start, nonce_at, tag_bytes, _, _ = cipher
    return crypt(start, salt, tag_bytes, datagram, nonce_at, key, datagram, None, None)
