# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The record layer: round trips, and everything that is not a record."""

from support import forge

from dice import record

KEY = bytes(range(16))
SALT = b"salt"


def seal(text=b"text", tag_bytes=8, cid=b"", content_type=23, epoch=1, sequence=5):
    return record.seal(KEY, SALT, tag_bytes, content_type, epoch, sequence, text, cid)


def test_round_trip():
    for tag_bytes in (8, 16):
        for cid in (b"", b"c", b"connection"):
            for length in (0, 1, 16, 1184):
                text = bytes(i & 0xFF for i in range(length))
                datagram = seal(text, tag_bytes, cid, 22, 0xFFFF, (1 << 48) - 1)
                assert len(datagram) == 21 + len(cid) + length + (1 if cid else 0) + tag_bytes
                assert record.header(datagram, len(cid)) == (25 if cid else 22, 0xFFFF, 0xFFFF, 0xFFFFFFFF)
                assert record.open(KEY, SALT, tag_bytes, datagram, len(cid)) == (22, text)


def test_plaintext_may_be_anything_bytes_like():
    for text in (b"text", bytearray(b"text"), memoryview(b"text")):
        assert record.open(KEY, SALT, 8, seal(text)) == (23, b"text")


def test_every_bit_counts():
    for cid in (b"", b"id"):
        datagram = seal(cid=cid)
        for at in range(8 * len(datagram)):
            changed = bytearray(datagram)
            changed[at // 8] ^= 1 << at % 8
            well_formed = record.header(changed, len(cid)) is not None
            assert not well_formed or record.open(KEY, SALT, 8, changed, len(cid)) is None, at


def test_explicit_nonce_comes_from_the_wire():
    datagram = seal()
    other = record.seal(KEY, SALT, 8, 23, 1, 6, b"text")
    datagram[13:21] = other[13:21]
    assert record.header(datagram) == (23, 1, 0, 5)
    assert record.open(KEY, SALT, 8, datagram) is None


def test_other_keys():
    datagram = seal()
    assert record.open(bytes(16), SALT, 8, datagram) is None
    assert record.open(KEY, b"tlas", 8, datagram) is None
    assert record.open(KEY, SALT, 16, datagram) is None


def test_malformed():
    datagram = seal()
    for length in range(len(datagram)):
        assert record.header(datagram[:length]) is None
    assert record.header(datagram + b"\0") is None
    assert record.header(datagram + datagram) is None
    for at in (1, 2, 11, 12):
        assert record.header(forge(datagram, at)) is None


def test_length_field_below_that_of_the_explicit_nonce():
    datagram = seal()[:21]
    datagram[11:13] = b"\0\x08"
    assert record.header(datagram) == (23, 1, 0, 5)
    assert record.open(KEY, SALT, 8, datagram) is None
    datagram[11:13] = b"\0\x07"
    assert record.header(datagram[:20]) is None
    assert record.header(datagram) is None


def test_shorter_than_a_tag():
    for length in range(8):
        datagram = bytearray(seal(b"")[: 21 + length])
        datagram[12] = 8 + length
        assert record.header(datagram) == (23, 1, 0, 5)
        assert record.open(KEY, SALT, 8, datagram) is None


def test_cid_length_must_be_the_receivers():
    datagram = seal(cid=b"id")
    assert record.header(datagram, 2) == (25, 1, 0, 5)
    for length in (0, 1, 3, 40):
        assert record.header(datagram, length) is None
    for length in range(len(datagram)):
        assert record.header(datagram[:length], 2) is None


def test_cid_padding_is_removed():
    # Zeros behind the real type hide the length: seal() as if they were part of the text.
    datagram = seal(b"text\x16\0\0", cid=b"c", content_type=0)
    assert record.open(KEY, SALT, 8, datagram, 1) == (22, b"text")


def test_cid_record_of_zeros_alone():
    datagram = seal(b"\0\0", cid=b"c", content_type=0)
    assert record.header(datagram, 1) == (25, 1, 0, 5)
    assert record.open(KEY, SALT, 8, datagram, 1) is None
