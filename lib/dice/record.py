# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The DTLS 1.2 record layer with AES-CCM (RFC 6347, section 4.1; RFC 6655; RFC 9146 for the connection id) (row 2).

struct {                                       offset without / with a CID of c bytes
    ContentType type;                           0
    ProtocolVersion version;                    1
    uint16 epoch;                               3
    uint48 sequence_number;                     5
    opaque cid[c];                              - / 11
    uint16 length;                             11 / 11 + c
    opaque nonce_explicit[8];                  13 / 13 + c
    opaque ciphertext_and_tag[length - 8];     21 / 21 + c
} GenericAEADRecord;
"""

from struct import pack_into, unpack_from

from dice._compat import const
from dice.crypto.ccm import crypt

_DATAGRAM_MAX_BYTES = const(1232)

_VERSION = const(0xFEFD)  # DTLS 1.2
_HEADER_BYTES = const(13)
_EXPLICIT_BYTES = const(8)
_FRAGMENT_AT = const(21)  # where the ciphertext begins, without a CID
APPLICATION_DATA = const(23)
_TLS12_CID = const(25)


def _cid_data(datagram, end, length):
    """Return what the tag covers beside the plaintext in a record with a CID (RFC 9146, section 5); its header ends at `end`."""
    prefix = bytes(datagram[: end - 2])
    return b"\xff" * 8 + bytes((_TLS12_CID, end - _HEADER_BYTES)) + prefix + length.to_bytes(2, "big")


def seal(key, salt, tag_bytes, content_type, epoch, sequence, plaintext, cid=b""):
    """Return a record as a new bytearray.

    `key` has 16 bytes and `salt`, the write IV, 4; (epoch, sequence) must never have been used with that key.
    `plaintext` is bytes; with a non-empty `cid` the content type travels encrypted behind it.
    """
    start = _FRAGMENT_AT + len(cid)
    aad = None
    if cid:
        plaintext = plaintext + bytes((content_type,))
        content_type = _TLS12_CID
    datagram = bytearray(start + len(plaintext) + tag_bytes)
    size = len(datagram) - start + _EXPLICIT_BYTES
    high = sequence >> 32  # in halves: a long integer takes longer than all of them
    low = sequence & 0xFFFFFFFF if high else sequence
    pack_into(">BHHHIHHHI", datagram, 0, content_type, _VERSION, epoch, high, low, size, epoch, high, low)
    if cid:
        pack_into(">HHHI", datagram, start - 10, size, epoch, high, low)
        datagram[11 : start - 10] = cid
        aad = _cid_data(datagram, start - _EXPLICIT_BYTES, len(plaintext))
    crypt(key, salt, datagram, start, tag_bytes, aad, plaintext)
    return datagram


def header(datagram, cid_bytes=0):
    """Return (content type, epoch, high 16 and low 32 bits of the sequence number) of a datagram of one protected record.

    None if it is malformed or longer than DATAGRAM_MAX_BYTES. A record of the type tls12_cid carries a CID of `cid_bytes`, the
    length of the receiver's own; without one it is malformed.
    """
    size = len(datagram)
    if not _FRAGMENT_AT <= size <= _DATAGRAM_MAX_BYTES:
        return None
    at = _HEADER_BYTES
    if datagram[0] == _TLS12_CID:
        at += cid_bytes
        if not cid_bytes or size < at + _EXPLICIT_BYTES:
            return None
    if datagram[1] << 8 | datagram[2] != _VERSION or datagram[at - 2] << 8 | datagram[at - 1] != size - at:
        return None
    return unpack_from(">B2xHHI", datagram)


def open(key, salt, tag_bytes, datagram, cid_bytes=0):
    """Return (content type, plaintext) of a record that header() accepts; None if its tag does not verify.

    The nonce's explicit part is what stands on the wire (RFC 6655, section 3).
    """
    if datagram[0] != _TLS12_CID:
        plaintext = crypt(key, salt, datagram, _FRAGMENT_AT, tag_bytes, None, None)
        return None if plaintext is None else (datagram[0], plaintext)
    start = _FRAGMENT_AT + cid_bytes
    length = len(datagram) - start - tag_bytes
    if length < 0:
        return None
    aad = _cid_data(datagram, start - _EXPLICIT_BYTES, length)
    plaintext = crypt(key, salt, datagram, start, tag_bytes, aad, None)
    if plaintext is None:
        return None
    inner = plaintext.rstrip(b"\0")  # zero padding hides the length (RFC 9146, section 4)
    return (inner[-1], inner[:-1]) if inner else None
