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
from dice.crypto import aead
from dice.limits import DATAGRAM_MAX_BYTES

_VERSION = const(0xFEFD)  # DTLS 1.2
_HEADER_BYTES = const(13)
_EXPLICIT_BYTES = const(8)
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
    start = _HEADER_BYTES + len(cid) + _EXPLICIT_BYTES
    end = start + len(plaintext)
    aad = None
    if cid:
        end += 1
    datagram = bytearray(end + tag_bytes)
    number = (epoch << 48) + sequence
    pack_into(">BHQ", datagram, 0, content_type, _VERSION, number)
    pack_into(">HQ", datagram, start - 10, end + tag_bytes - start + 8, number)
    datagram[start : start + len(plaintext)] = plaintext
    if cid:
        datagram[0] = _TLS12_CID
        datagram[11 : 11 + len(cid)] = cid
        datagram[end - 1] = content_type
        aad = _cid_data(datagram, start - 8, end - start)
    aead.seal(key, salt, datagram, start, end, tag_bytes, aad)
    return datagram


def header(datagram, cid_bytes=0):
    """Return (content type, epoch, high 16 and low 32 bits of the sequence number) of a datagram of one protected record.

    None if it is malformed or longer than DATAGRAM_MAX_BYTES. A record of the type tls12_cid carries a CID of `cid_bytes`, the
    length of the receiver's own; without one it is malformed.
    """
    size = len(datagram) - _HEADER_BYTES
    if not _EXPLICIT_BYTES <= size <= DATAGRAM_MAX_BYTES - _HEADER_BYTES:
        return None
    content_type, version, epoch, high, low, length = unpack_from(">BHHHIH", datagram)
    if content_type == _TLS12_CID:
        size -= cid_bytes
        if not cid_bytes or size < _EXPLICIT_BYTES:
            return None
        length = datagram[11 + cid_bytes] << 8 | datagram[12 + cid_bytes]
    if version != _VERSION or length != size:
        return None
    return content_type, epoch, high, low


def open(key, salt, tag_bytes, datagram, cid_bytes=0):
    """Return (content type, plaintext) of a record that header() accepts; None if its tag does not verify.

    The nonce's explicit part is what stands on the wire (RFC 6655, section 3).
    """
    content_type = datagram[0]
    if content_type != _TLS12_CID:
        plaintext = aead.open(key, salt, datagram, _HEADER_BYTES + _EXPLICIT_BYTES, tag_bytes)
        return None if plaintext is None else (content_type, plaintext)
    start = _HEADER_BYTES + cid_bytes + _EXPLICIT_BYTES
    length = len(datagram) - start - tag_bytes
    if length < 0:
        return None
    aad = _cid_data(datagram, start - 8, length)
    plaintext = aead.open(key, salt, datagram, start, tag_bytes, aad)
    inner = plaintext.rstrip(b"\0") if plaintext else b""  # zero padding hides the length (RFC 9146, section 4)
    return (inner[-1], inner[:-1]) if inner else None
