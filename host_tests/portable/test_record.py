# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The record layer: round trips, and rejection of everything that is not a record."""

from support import forge, make_member

from dice import record
from dice.codes import CONTENT_APPLICATION_DATA
from dice.dtls.record_layer import RecordLayer, open_cid, seal_cid
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES

KEY = bytes(range(16))
SALT = b"salt"
CIPHER = SUITES[PSK_AES_128_CCM_8].cipher
BY_TAG = {8: CIPHER, 16: SUITES[PSK_AES_128_CCM].cipher}


def seal(text=b"text", tag_bytes=8, content_type=23, epoch=1, sequence=5):
    return record.seal(BY_TAG[tag_bytes], KEY, SALT, content_type, epoch, sequence, text)


def with_cid(text=b"text", cid=b"id", content_type=23):
    return seal_cid(CIPHER, KEY, SALT, content_type, 1, 5, text, cid)


def layer(cid):
    """Return the record layer of the receiver, which uses this connection id."""
    made = RecordLayer()
    made.cid = cid
    made.set_keys(bytearray(bytes(16) + KEY + bytes(4) + SALT), True, SUITES[PSK_AES_128_CCM_8])
    return made


def test_records_round_trip():
    for tag_bytes in (8, 16):
        for length in (0, 1, 16, 1184):
            text = bytes(i & 0xFF for i in range(length))
            datagram = seal(text, tag_bytes, 22, 0xFFFF, (1 << 48) - 1)
            assert len(datagram) == 21 + length + tag_bytes
            assert record.well_formed(datagram)
            assert datagram[:11] == b"\x16\xfe\xfd" + b"\xff" * 8
            assert record.open(BY_TAG[tag_bytes], KEY, SALT, datagram) == text


def test_records_with_a_cid_round_trip():
    for tag_bytes in (8, 16):
        for cid in (b"c", b"connection"):
            for length in (0, 1, 16, 1152):
                text = bytes(i & 0xFF for i in range(length))
                datagram = seal_cid(BY_TAG[tag_bytes], KEY, SALT, 22, 0xFFFF, (1 << 48) - 1, text, cid)
                assert len(datagram) == 22 + len(cid) + length + tag_bytes
                assert datagram[:11] == b"\x19\xfe\xfd" + b"\xff" * 8
                assert open_cid(BY_TAG[tag_bytes], KEY, SALT, datagram, len(cid)) == (22, text)


def test_the_plaintext_may_be_any_bytes_like_object():
    for text in (b"text", bytearray(b"text"), memoryview(b"text")):
        assert record.open(CIPHER, KEY, SALT, seal(text)) == b"text"


def flipped(datagram):
    """Yield copies of the datagram, each with another bit flipped."""
    for at in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[at // 8] ^= 1 << at % 8
        yield changed


def test_every_flipped_bit_is_detected():
    for changed in flipped(seal()):
        assert not record.well_formed(changed) or record.open(CIPHER, KEY, SALT, changed) is None


def test_every_flipped_bit_is_detected_with_a_cid():
    other = layer(b"id")
    other.oldest = 1  # else a flipped epoch makes it a plaintext record
    for changed in flipped(with_cid()):
        size = other.split(changed)
        assert not size or other.open(changed[:size]) is None
    assert sum(other.dropped.values()) == 8 * len(with_cid()), other.dropped
    assert other.open(with_cid()) == (1, 23, b"text")


def test_the_explicit_nonce_is_read_from_the_record():
    datagram = seal()
    other = record.seal(CIPHER, KEY, SALT, 23, 1, 6, b"text")
    datagram[13:21] = other[13:21]
    assert record.well_formed(datagram)
    assert record.open(CIPHER, KEY, SALT, datagram) is None


def test_another_key_salt_or_tag_length_opens_nothing():
    datagram = seal()
    assert record.open(CIPHER, bytes(16), SALT, datagram) is None
    assert record.open(CIPHER, KEY, b"tlas", datagram) is None
    assert record.open(BY_TAG[16], KEY, SALT, datagram) is None


def test_malformed_records_are_recognised():
    datagram = seal()
    for length in range(len(datagram)):
        assert not record.well_formed(datagram[:length])
    assert not record.well_formed(datagram + b"\0")
    assert not record.well_formed(datagram + datagram)
    for at in (1, 2, 11, 12):
        assert not record.well_formed(forge(datagram, at))


def test_a_member_and_well_formed_agree_on_what_a_record_is():
    """A member has its own copy of this check, because a call takes 10 us."""
    datagram = seal()
    candidates = [datagram[:length] for length in range(len(datagram) + 1)]
    candidates += [datagram + b"\0", datagram + datagram, seal(bytes(1184)), seal(bytes(1204)), seal(bytes(1203))]
    candidates += flipped(datagram)
    formed = 0
    for candidate in candidates:
        listener = make_member()
        listener.receive(candidate, 0)
        ours = record.well_formed(candidate) and candidate[0] == CONTENT_APPLICATION_DATA
        assert ("malformed" in listener.dropped) != ours, candidate
        formed += ours
    assert 100 < formed < len(candidates) - 30


def test_a_length_shorter_than_the_explicit_nonce_is_malformed():
    datagram = seal()[:21]
    datagram[11:13] = b"\0\x08"
    assert record.well_formed(datagram)
    assert record.open(CIPHER, KEY, SALT, datagram) is None
    datagram[11:13] = b"\0\x07"
    assert not record.well_formed(datagram[:20])
    assert not record.well_formed(datagram)


def test_a_fragment_shorter_than_a_tag_opens_nothing():
    for length in range(8):
        datagram = bytearray(seal(b"")[: 21 + length])
        datagram[12] = 8 + length
        assert record.well_formed(datagram)
        assert record.open(CIPHER, KEY, SALT, datagram) is None


def test_a_record_with_another_cid_is_dropped():
    datagram = with_cid()
    assert layer(b"id").open(datagram) == (1, 23, b"text")
    for cid in (b"", b"i", b"ID", b"idx", bytes(8)):
        other = layer(cid)
        size = other.split(datagram)
        assert not size or other.open(datagram[:size]) is None
        assert other.dropped in ({"malformed": 1}, {"long": 1}, {"cid": 1}), other.dropped
    for length in range(len(datagram)):
        other = layer(b"id")
        assert other.split(datagram[:length]) is None
        assert other.dropped == {"malformed": 1}


def test_a_cid_record_shorter_than_its_explicit_nonce_is_malformed():
    for length in range(8):
        datagram = with_cid()[: 15 + length]
        datagram[13:15] = length.to_bytes(2, "big")
        other = layer(b"id")
        assert other.split(datagram) == len(datagram)
        assert other.open(datagram) is None
        assert other.dropped == {"malformed": 1}


def test_a_cid_record_shorter_than_a_tag_is_forged():
    for length in range(8):
        datagram = with_cid()[: 23 + length]
        datagram[13:15] = (8 + length).to_bytes(2, "big")
        other = layer(b"id")
        assert other.open(datagram) is None
        assert other.dropped == {"forged": 1}


def test_the_padding_of_a_cid_record_is_removed():
    # Zeros after the content type hide the length. They are sealed as part of the plaintext.
    assert open_cid(CIPHER, KEY, SALT, with_cid(b"text\x16\0\0", b"c", 0), 1) == (22, b"text")


def test_a_cid_record_of_only_zeros_opens_nothing():
    assert open_cid(CIPHER, KEY, SALT, with_cid(b"\0\0", b"c", 0), 1) is None
