# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reader and Writer of the wire format."""

from support import raises

from dice.errors import FormatError
from dice.reasons import E_TRAILING, E_TRUNCATED
from dice.wire import Reader, Writer


def test_written_fields_are_read_back():
    writer = Writer()
    writer.uint(0xFE, 1)
    writer.uint(0x010203, 3)
    writer.uint((1 << 64) - 1, 8)
    writer.put(b"fixed")
    writer.vector(b"", 1)
    writer.vector(b"counted", 2)
    assert writer.data == b"\xfe\x01\x02\x03" + b"\xff" * 8 + b"fixed\0\0\x07counted"
    reader = Reader(writer.data)
    assert reader.uint(1) == 0xFE
    assert reader.uint(3) == 0x010203
    assert reader.uint(8) == (1 << 64) - 1
    assert reader.take(5) == b"fixed"
    assert reader.vector(1) == b""
    assert reader.vector(2) == b"counted"
    reader.end()


def test_end_raises_if_bytes_are_left():
    reader = Reader(b"ab")
    raises(FormatError, E_TRAILING, reader.end)
    reader.take(1)
    raises(FormatError, E_TRAILING, reader.end)
    reader.take(1)
    reader.end()


def test_reading_past_the_end_raises():
    reader = Reader(b"\x05abcd")
    raises(FormatError, E_TRUNCATED, reader.take, 6)
    raises(FormatError, E_TRUNCATED, reader.uint, 6)
    raises(FormatError, E_TRUNCATED, reader.vector, 1)
    raises(FormatError, E_TRUNCATED, Reader(b"\0").vector, 2)
    raises(FormatError, E_TRUNCATED, Reader(b"").take, 1)
    Reader(b"").end()


def test_the_returned_bytes_are_a_copy():
    data = bytearray(b"abc")
    part = Reader(data).take(3)
    data[0] = 0
    assert part == b"abc"
