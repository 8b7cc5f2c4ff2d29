# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Recoded records, as section 16 of docs/protocol.md states them: nothing is lost, and nothing is believed."""

from binascii import unhexlify

from recoding import check
from support import A, B, forge, make_member, seal, sealed

from dice.errors import DATA, NONE
from dice.group.gsa import D00
from dice.group.response import PendingRequest, ReceivedRequest
from dice.limits import DATAGRAM_MAX_BYTES
from dice.suites import PSK_AES_128_CCM
from dice.transport.recode import recode, restore

RECORD = unhexlify("17fefd00012a0000000005001600012a0000000005b865b8e593f1e76386ae48157de4")  # of section 9
RECODED = unhexlify("80000500012ab865b8e593f1e76386ae48157de4")


def noise(seed, size):
    """Return bytes that are the same on every platform."""
    made = bytearray(size)
    for i in range(size):
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        made[i] = seed >> 12 & 255
    return bytes(made)


def test_the_vector_of_the_protocol():
    assert recode(RECORD) == RECODED and restore(RECODED) == RECORD
    assert recode(bytearray(RECORD)) == recode(memoryview(RECORD)) == RECODED
    assert restore(RECORD) == RECORD


def test_a_command_of_2_bytes_has_16_instead_of_31():
    datagram = seal(make_member(A), b"on")
    assert (len(datagram), len(check(datagram))) == (31, 16)


def test_records_of_every_length_suite_layout_and_epoch_survive():
    """A SenderID of the layout d00 is in two bytes, of which the second one must be 0 in a recoded record."""
    sequence = 0
    for size in (0, 1, 2, 13, 14, 15, 100, 234, 235, 236, 1195):
        for changes in ({}, {"suite": PSK_AES_128_CCM}, {"epoch": 0xFFFF}, {"layout": D00}):
            data = bytes(size)
            sequence += 1
            datagram = sealed(sequence, data, **changes)
            whole = changes.get("layout") == D00
            assert len(check(datagram)) == len(datagram) - (0 if whole else 15)
    for sender_id in (0, 1, 0x80, 0xFF):
        datagram = sealed(1000, b"on", own_id=sender_id, senders=[(sender_id, 0)])
        assert len(check(datagram)) == 16
    for sender_id, size in ((0, 16), (1, 31), (0xFF, 31), (0x100, 16), (0xFF00, 16), (0xFF01, 31)):
        datagram = sealed(1000, b"on", own_id=sender_id, senders=[(sender_id, 0)], layout=D00)
        assert len(check(datagram)) == size, sender_id


def test_numbers_below_2_to_the_23_are_recoded_and_others_go_whole():
    for sequence in (0, 1, 0xFF, 0x100, 0xFFFF, 0x10000, (1 << 23) - 1):
        assert len(check(sealed(sequence, b"on"))) == 16, sequence
    for sequence in (1 << 23, (1 << 24) - 1, 1 << 24, (1 << 24) + 5, 1 << 32, (1 << 40) - 1):
        assert len(check(sealed(sequence, b"on"))) == 31, sequence


def test_whatever_a_record_does_not_say_twice_goes_whole():
    """Each byte of a record is changed in turn: only the fields that a recoded record has may change."""
    for at in range(len(RECORD)):
        for bits in (0x01, 0x80, 0xFF):
            changed = bytearray(RECORD)
            changed[at] ^= bits
            frame = check(changed)
            kept = at >= 21 or at in (3, 4, 5) + (() if bits & 0x80 else (8,)) + (9, 10)
            assert (frame[:1] >= b"\x80") == (at >= 21), (at, bits)
            if kept and at < 21:  # the copy in the nonce as well
                changed[at + 10] ^= bits
                assert check(changed)[:1] >= b"\x80", (at, bits)
    for changed in (RECORD[:-1], RECORD + b"x", RECORD + RECORD, RECORD[:28], b""):
        assert check(changed) == changed


def test_other_content_types_go_whole():
    for content_type in range(0, 256, 5):
        check(bytes((content_type,)) + RECORD[1:])
    for content_type in (20, 21, 22, 24, 25, 26):
        changed = bytes((content_type,)) + RECORD[1:]
        assert recode(changed) == changed


def test_any_bytes_survive():
    for seed in range(60):
        data = noise(seed, seed % 60)
        check(data)
        for first in (b"\0", b"\x80", b"\0\x80", b"\0\0\xff", b"\x17\xfe\xfd"):
            check(first + data)
    for frame in (RECODED, b"\0" + RECODED, b"\0\0" + RECODED, b"\0" + RECORD):  # datagrams that look like frames
        assert check(frame) == (frame if frame == b"\0" + RECORD else b"\0" + frame)
    for size in range(40):
        for byte in (0, 0x7F, 0x80, 0xFF):
            check(bytes((byte,)) * size)


def test_no_frame_raises_and_each_is_at_most_15_bytes_longer():
    for seed in range(60):
        for first in (b"", b"\0", b"\x80", b"\xff\xff"):
            frame = first + noise(seed, seed % 50)
            assert len(restore(frame)) <= len(frame) + 15
    assert len(restore(b"\x80" * 3000)) == 3015
    for size in range(14):
        assert restore(b"\xff" * size) == b"\xff" * size


def test_a_member_treats_both_forms_alike():
    sender, receiver = make_member(A), make_member(B)
    first, second = seal(sender, b"on"), seal(sender, b"off")
    assert receiver.receive(restore(recode(first)), 0) == DATA and bytes(receiver.data) == b"on"
    assert receiver.receive(restore(bytes(first)), 0) == NONE
    assert receiver.receive(restore(recode(second, False)), 0) == DATA and bytes(receiver.data) == b"off"
    assert receiver.receive(restore(recode(second)), 0) == NONE
    assert receiver.dropped == {"replayed": 2}


def test_nothing_of_a_recoded_header_is_believed():
    """Each bit of a frame is flipped, and bytes are lost: no change is accepted, moves the window, or spoils what is genuine."""
    sender, receiver = make_member(A), make_member(B)
    genuine = recode(seal(sender, b"on"))
    for at in range(len(genuine)):
        for bit in range(8):
            changed = bytearray(genuine)
            changed[at] ^= 1 << bit
            assert receiver.receive(restore(bytes(changed)), 0) == NONE, (at, bit)
    for cut in range(len(genuine)):
        assert receiver.receive(restore(genuine[:cut]), 0) == NONE, cut
        assert receiver.receive(restore(genuine[:cut] + genuine[cut + 1 :]), 0) == NONE, cut
    assert receiver.accepted == 0
    assert receiver.receive(restore(genuine), 0) == DATA


def test_a_number_far_ahead_that_is_not_authentic_moves_no_window():
    sender, receiver = make_member(A), make_member(B)
    frame = recode(seal(sender, b"on"))
    ahead = b"\xff\xff\xff" + frame[3:]
    assert receiver.receive(restore(ahead), 0) == NONE
    assert receiver.receive(restore(frame), 0) == DATA
    assert receiver.dropped == {"forged": 1}


def test_a_member_of_the_time_before_drops_recoded_records_and_reads_whole_ones():
    """It gets the frame as a datagram: no record, so it counts no forgery, and changes nothing."""
    sender, old = make_member(A), make_member(B)
    for size in (0, 2, 7, 100, 1195):
        assert old.receive(recode(seal(sender, bytes(size))), 0) == NONE
    assert old.dropped == {"malformed": 5}
    assert old.receive(recode(seal(sender, b"on"), False), 0) == DATA


def test_answers_are_recoded_too():
    asking, answering = make_member(A), make_member(B)
    asked = seal(asking, b"lit?")
    request = PendingRequest(asking, asked)
    assert answering.receive(restore(recode(asked)), 0) == DATA
    answer = ReceivedRequest(answering).answer(b"yes")
    frame = check(answer)
    assert len(frame) == len(answer) - 15
    assert request.receive(restore(bytes(forge(frame)))) is None
    assert request.receive(restore(frame)) == B and request.answers == {B: b"yes"}


def test_a_recoded_record_may_not_be_longer_than_a_datagram():
    """Its frame would be short enough, but the record is not."""
    receiver = make_member(B)
    assert receiver.receive(restore(recode(seal(make_member(A), b"on"))), 0) == DATA
    frame = b"\x80\0\1\0\1\1" + bytes(DATAGRAM_MAX_BYTES - 20)
    assert len(restore(frame)) == DATAGRAM_MAX_BYTES + 1
    assert receiver.receive(restore(frame), 0) == NONE
    assert receiver.dropped == {"malformed": 1}
