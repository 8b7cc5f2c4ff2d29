# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The rules of section 16 of docs/protocol.md for recoded records, written down a second time, for tests."""

from dice.transport.recode import recode, restore


def recoded(datagram):
    """Return what section 16 demands for a datagram that fits, from its text, and None for others."""
    number, length = datagram[3:11], len(datagram) - 13
    if len(datagram) < 29 or datagram[:3] != b"\x17\xfe\xfd" or datagram[11:13] != bytes((length >> 8, length & 255)):
        return None
    if number != datagram[13:21] or number[3] or number[4] or number[5] >= 0x80:
        return None
    return bytes((0x80 + number[5], number[6], number[7], number[0], number[1], number[2])) + datagram[21:]


def check(datagram):
    """Assert that a datagram survives, in the frame of section 16 and in a whole one; return its frame."""
    datagram = bytes(datagram)
    frame = recode(datagram)
    assert restore(frame) == datagram, datagram
    assert restore(recode(datagram, False)) == datagram, datagram
    wanted = recoded(datagram)
    if wanted is not None:
        assert frame == wanted, datagram
        assert recode(datagram, False) == datagram
    elif frame != datagram:
        rest = datagram
        while rest[:1] == b"\0":
            rest = rest[1:]
        assert frame == b"\0" + datagram and len(rest) >= 14 and rest[0] >= 0x80
    return frame
