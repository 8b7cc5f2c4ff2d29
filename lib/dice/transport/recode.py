# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Frames of radios and buses: group records without what everybody knows of them, 15 bytes shorter (docs/protocol.md, section 16).

struct {                                       offset
    uint24 marked_number;                       0    2^23 + sequence number
    uint16 epoch;                               3
    uint8 SenderID;                             5
    opaque ciphertext_and_tag[length - 6];      6
} Recoded;

A datagram that does not fit that form goes whole. One that would be taken for a recoded record gets a byte 0 before it; no datagram
of dice does. Nothing is known of keys, and nothing is believed: a record that is restored is authenticated as one that came whole.
"""

from .._compat import const
from .._typing import TYPING

if TYPING:
    from ..types import Bytes

_MIN_BYTES = const(14)  # an empty message with a tag of 8 bytes


def recode(datagram: "Bytes", records: bool = True) -> bytes:
    """Return the frame that carries a datagram; with `records` false, one that has no recoded record."""
    datagram = bytes(datagram)
    if records and datagram[28:]:
        frame = bytes((datagram[8] | 128,)) + datagram[9:11] + datagram[3:6] + datagram[21:]
        if restore(frame) == datagram:  # so nothing is lost, whatever it is
            return frame
    return b"\0" + datagram if _marked(datagram) else datagram


def restore(frame: bytes) -> bytes:
    """Return the datagram that a frame carries. No frame can raise."""
    mark = frame[0] if len(frame) >= _MIN_BYTES else 1
    if mark < 128:
        return frame if mark or not _marked(frame) else frame[1:]
    record = bytearray(15) + frame
    record[:6] = b"\x17\xfe\xfd" + frame[3:6]
    record[8] = mark & 127
    record[9:11] = frame[1:3]
    size = len(frame) + 2
    record[11] = size >> 8 & 255
    record[12] = size & 255
    record[13:21] = record[3:11]
    return bytes(record)


def _marked(frame: bytes) -> int:
    frame = frame.lstrip(b"\0")
    return len(frame) >= _MIN_BYTES and frame[0] & 128
