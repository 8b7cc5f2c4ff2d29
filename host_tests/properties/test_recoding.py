# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Nothing is lost on a link that recodes records: whatever a datagram is, and for all that the library sends.

host_tests/portable/recoding.py judges what fits.
"""

import random
from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from dice import record
from dice.errors import DATA, NONE
from dice.group.gsa import D00, DERIVE_SHARED, K08
from dice.group.response import PendingRequest, ReceivedRequest
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES
from dice.transport.recode import recode, restore
from dice.transport.slip import Serial
from dice.transport.slip_ip import packet, parse
from host_tests.portable.dtls_pair import drain, give, pair
from host_tests.portable.recoding import check
from host_tests.portable.support import A, B, make_member, seal
from host_tests.seeds import search, seeds

ENDS = b"\x0a\x4d\0\1\x15\xe0", b"\xef\1\2\3\x16\x34"
_EDGES = (0, 1, 0x7F, 0x80, 0xFF)


class Tape:
    """A serial line that returns what was written to it."""

    def __init__(self):
        self.data = b""

    def write(self, data):
        self.data += bytes(data)
        return len(data)

    def read(self, count):
        head, self.data = self.data[:count], self.data[count:]
        return head


def carry(datagram):
    """Carry a datagram over each kind of link, and assert that it arrives; return its frame."""
    datagram = bytes(datagram)
    frame = check(datagram)
    for records in (True, False):
        tape = Tape()
        line = Serial(tape, recode=records)
        if datagram and len(datagram) <= 1232:
            line.send(datagram)
            found = None
            while found is None and tape.data:
                found = line.receive()
            assert found == datagram
        assert parse(bytes(packet(*ENDS, datagram, records))) == (*ENDS, datagram)
    return frame


@st.composite
def records(draw):
    """Return bytes that are a record, nearly one, or have the beginning of a frame."""
    byte = st.one_of(st.sampled_from(_EDGES), st.integers(0, 255))
    head = bytes([draw(st.sampled_from((20, 21, 22, 23, 25, 0x97))), 0xFE, draw(st.sampled_from((0xFD, 0xFF)))])
    number = bytes(
        [draw(byte), draw(byte), draw(byte), *[draw(st.sampled_from((0, 0, 1))) for _ in range(2)], *[draw(byte) for _ in range(3)]]
    )
    body = draw(st.binary(max_size=60))
    nonce = draw(st.sampled_from((number, number, number, bytes(8))))
    length = len(body) + 8 + draw(st.sampled_from((0, 0, 0, 1, 256)))
    whole = head + number + length.to_bytes(2, "big") + nonce + body
    return draw(st.sampled_from((b"", b"", b"", b"\0", b"\0\0"))) + draw(
        st.sampled_from((whole, whole, whole, recode(whole), number + body))
    )


@given(st.one_of(st.binary(max_size=80), records()))
@example(b"")
@example(bytes(40))
@example(b"\xff" * 1232)
@example(b"\x17\xfe\xfd" + bytes(65_533))
@example(b"\x80" * 65_535)
def test_every_datagram_arrives_as_it_was_sent(datagram):
    carry(datagram) if len(datagram) < 2000 else check(datagram)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_two_datagrams_never_have_one_frame(one, other):
    assert (recode(one) == recode(other)) == (one == other)
    assert (recode(one) == recode(other, False)) == (one == other and recode(one) == recode(one, False))


@given(records())
def test_a_frame_that_restores_to_a_record_has_every_field_of_it(frame):
    """So the tag is verified over what came: epoch, SenderID and number, and the length of the frame."""
    datagram = restore(frame)
    if datagram not in (frame, frame[1:]):
        assert record.well_formed(datagram) and datagram[13:21] == datagram[3:11]
        assert (datagram[3:6], datagram[8:11], datagram[21:]) == (frame[3:6], bytes((frame[0] & 127,)) + frame[1:3], frame[6:])


def _session(seed):
    """Carry all datagrams of a session of random options, with its loss; return how many of each kind there were."""
    rng = random.Random(seed)
    client = {"cid": rng.choice((None, None, b"", b"\7"))}
    server = {"cid": rng.choice((b"", b"\1", b"\1\2\3"))}
    ours, theirs = pair(client=client, server=server, mtu=rng.choice((128, 256, 1232)))
    counts = Counter()

    def exchange(now):
        for _ in range(12):
            for sender, receiver in ((ours, theirs), (theirs, ours)):
                for datagram in drain(sender):
                    frame = carry(datagram)
                    counts["recoded" if len(frame) < len(datagram) else "whole"] += 1
                    if frame[0] >= 0x80:
                        assert datagram[0] == 23, "not application data"
                    if rng.random() < 0.9:
                        give(receiver, [restore(frame)], now)

    now = 0
    exchange(now)
    while not (ours.connected and theirs.connected) and now < 60_000:
        now += 9_100
        for end in (ours, theirs):
            end.timeout(now)
        exchange(now)
    if ours.connected and theirs.connected:
        for _ in range(4):
            for end in (ours, theirs):
                end.send(rng.randbytes(rng.randrange(1, 80)), now)
            exchange(now)
    for end in (ours, theirs):
        end.close()
        exchange(now)
    return counts


def test_all_that_sessions_send_arrives():
    """Handshakes with all their fragments, connection ids, application data, alerts."""
    done = search(_session, 12)
    assert done["whole"] > 50 and done["recoded"] > 10


def _group(seed):
    """Let a member send messages and get answers over a link that recodes; both forms, with damage between them."""
    rng = random.Random(seed)
    changes = {
        "suite": rng.choice((PSK_AES_128_CCM_8, PSK_AES_128_CCM)),
        "layout": rng.choice((K08, K08, D00)),
        "epoch": rng.choice((1, 0x80, 0xFFFF)),
        "key": rng.randbytes(16),
        "gid": rng.randbytes(4),
        "budget": 1 << 23,
    }
    if rng.random() < 0.3:
        changes.update(derive=DERIVE_SHARED, key=rng.randbytes(20), budget=1 << 20)
    sequence = rng.choice((0, 255, 65_530, (1 << 20) - 40))
    senders = [(A, (changes["epoch"] << 48) + sequence), (B, 0)]
    one, two = (make_member(own_id, own_next=dict(senders)[own_id], senders=senders, **changes) for own_id in (A, B))
    counts = Counter()
    for _ in range(8):
        message = rng.randbytes(rng.choice((0, 1, 2, 40, 220, 1195)))
        datagram = bytes(seal(one, message))
        frame = carry(datagram)
        assert len(datagram) - len(frame) == (15 if changes["layout"] == K08 else 0)
        damaged = bytearray(frame)
        damaged[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        assert two.receive(restore(bytes(damaged)), 0) == NONE
        forms = [frame, recode(datagram, False)]
        rng.shuffle(forms)
        assert two.receive(restore(forms[0]), 0) == DATA and bytes(two.data) == message
        request = PendingRequest(one, datagram)
        answer = ReceivedRequest(two).answer(message[:1100])
        assert request.receive(restore(carry(answer))) == B
        assert two.receive(restore(forms[1]), 0) == NONE
        counts["messages"] += 1
    assert two.accepted == 8
    return counts


def test_a_group_takes_both_forms_once_and_nothing_else():
    assert search(_group, 25)["messages"] == 8 * len(seeds(25))


def test_every_number_of_the_wire_survives():
    """48 bits, whatever they mean: a number that does not fit in 23 bits, or a SenderID of two bytes, goes whole."""
    numbers = (
        [1 << bit for bit in range(48)] + [(1 << bit) - 1 for bit in range(49)] + [(0xAB << 40) + (1 << bit) for bit in range(40)]
    )
    for number in sorted(set(numbers)):
        datagram = record.seal(SUITES[PSK_AES_128_CCM_8].cipher, bytes(16), bytes(4), 23, 1, number, b"on")
        frame = check(datagram)
        assert (len(frame) == 16) == (number & 0xFF_FFFF_FFFF < 1 << 23), hex(number)
