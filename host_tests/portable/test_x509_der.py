# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The reader of DER: one encoding of each value is accepted, up to the last byte."""

from support import raises

from dice.errors import PeerError
from dice.reasons import E_CERTIFICATE
from dice.x509.der import Der


def reader(data):
    return Der(data, 0, len(data))


def value(length, head):
    """Return an OCTET STRING of some zeros, behind a given length."""
    return b"\4" + bytes.fromhex(head) + bytes(length)


def refused(function, *arguments):
    raises(PeerError, E_CERTIFICATE, function, *arguments)


def test_a_length_has_its_shortest_form():
    for length, head in ((0, "00"), (1, "01"), (127, "7f"), (128, "8180"), (255, "81ff"), (256, "820100"), (4096, "821000")):
        der = reader(value(length, head))
        assert len(der.bytes(4)) == length
        der.end()
    for length, head in ((0, "8100"), (127, "817f"), (0, "820000"), (255, "8200ff"), (256, "83000100"), (300, "83010000")):
        refused(reader(value(length, head)).take, 4)
    for head in ("80", "84", "85", "fe", "ff"):
        refused(reader(value(300, head)).take, 4)


def test_nothing_is_read_past_the_end():
    for data in (b"", b"\4", b"\4\1", b"\4\x7f" + bytes(126), b"\4\x81", b"\4\x81\x80" + bytes(127), b"\4\x82\1", b"\4\x82\1\0"):
        refused(reader(data).take, 4)
    data = b"\4\0\4\1\4\0"
    for end in range(2, 6):  # the end of a reader is not that of the data
        der = Der(data, 0, end)
        assert der.bytes(4) == b""
        if end < 5:
            der.end() if end == 2 else refused(der.take, 4)
        else:
            assert der.bytes(4) == b"\4"
    refused(Der(b"\4\x82\1\0" + bytes(256), 0, 3).take, 4)
    refused(Der(b"\4\x81\x80" + bytes(128), 0, 2).take, 4)


def test_a_structure_ends_where_it_says():
    der = reader(b"\x30\2\4\0\4\0")
    inner = der.take(0x30)
    refused(inner.end)
    assert inner.tag() == 4 and inner.whole(4) == b"\4\0" and inner.tag() == 0
    inner.end()
    refused(inner.take, 4)
    refused(der.end)
    assert der.tag() == 4
    refused(reader(b"\0\0").tag)


def test_a_tag_is_the_expected_one_of_one_byte():
    refused(reader(b"\4\0").take, 0x24)
    for tag in (0, 0x1F, 0x3F, 0xBF, 0xFF):
        refused(reader(bytes((tag, 0))).take, tag)
    for tag in (1, 0x1E, 0x20, 0x80, 0xA3, 0xFE):
        reader(bytes((tag, 0))).take(tag)


def test_an_integer_is_not_negative_and_has_its_shortest_form():
    for text, number in (("00", 0), ("7f", 127), ("0080", 128), ("7fff", 0x7FFF), ("00ffff", 0xFFFF)):
        data = bytes.fromhex(text)
        assert reader(bytes((2, len(data))) + data).uint() == number
    for text in ("", "80", "ff", "0000", "007f", "ff7f", "000080"):
        data = bytes.fromhex(text)
        refused(reader(bytes((2, len(data))) + data).uint)


def test_a_boolean_with_a_default_is_true_or_absent():
    assert reader(b"\1\1\xff").true()
    assert not reader(b"").true()
    assert not reader(b"\4\0").true()
    for text in ("010100", "010101", "0100", "0102ffff"):
        refused(reader(bytes.fromhex(text)).true)
