# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshake messages: fragments are reassembled in any order within bounds, and messages are fragmented to fit the network."""

from lossy_network import SeededRandom

from dice.codes import CONTENT_HANDSHAKE
from dice.dtls.flights import Flight, Reassembly
from dice.dtls.handshake import KeyExchange
from dice.dtls.record_layer import RecordLayer
from dice.limits import EARLY_MESSAGES_MAX, HANDSHAKE_BYTES_MAX, RANGES_MAX

BODY = bytes(range(100))


def whole(kind, sequence, body):
    length = len(body).to_bytes(3, "big")
    return bytes((kind,)) + length + sequence.to_bytes(2, "big") + bytes(3) + length + body


def test_fragments_are_reassembled_in_any_order_with_overlaps_and_repeats():
    random = SeededRandom(3)
    for _ in range(30):
        assembly = Reassembly(5, KeyExchange)
        for _ in range(400):
            start = random.roll(100)
            end = min(100, start + 1 + random.roll(40))
            assembly.add(0, 1, 100, 5, start, BODY[start:end])
            taken = assembly.take()
            if taken:
                break
        assert taken == whole(1, 5, BODY)
        assert assembly.take() is None and assembly.next == 6


def test_messages_received_early_wait_for_their_turn():
    assembly = Reassembly(0, KeyExchange)
    for sequence in (2, 1):
        assert assembly.add(0, 7, 100, sequence, 0, BODY)
        assert assembly.take() is None
    assert assembly.add(0, 7, 100, 0, 0, BODY)
    assert [assembly.take() for _ in range(3)] == [whole(7, sequence, BODY) for sequence in range(3)]


def test_an_empty_message_is_complete_at_once():
    assembly = Reassembly(0, KeyExchange)
    assert assembly.add(0, 14, 0, 0, 0, b"")
    assert assembly.take() == whole(14, 0, b"")


def test_fragments_that_do_not_fit_are_refused():
    assembly = Reassembly(3, KeyExchange)
    assert not assembly.add(0, 1, 100, 2, 0, BODY), "already passed"
    assert not assembly.add(0, 1, 100, 3 + EARLY_MESSAGES_MAX, 0, BODY), "too far ahead"
    assert not assembly.add(0, 1, 99, 3, 0, BODY), "beyond its length"
    assert not assembly.add(0, 1, 0xFFFFFF, 3, 0, BODY), "too long"
    assert assembly.add(0, 1, 100, 3, 0, BODY[:50])
    assert not assembly.add(0, 2, 100, 3, 50, BODY[50:]), "another type"
    assert not assembly.add(0, 1, 101, 3, 50, BODY[50:]), "another length"
    assert not assembly.add(1, 1, 100, 3, 50, BODY[50:]), "another epoch"
    assert assembly.take() is None
    assert assembly.add(0, 1, 100, 3, 50, BODY[50:])
    assert assembly.take()


def test_reassembly_memory_is_bounded():
    assembly = Reassembly(0, KeyExchange)
    taken = [assembly.add(0, 1, HANDSHAKE_BYTES_MAX // 2, sequence, 0, b"x") for sequence in range(EARLY_MESSAGES_MAX)]
    assert sum(taken) <= 2
    assembly = Reassembly(0, KeyExchange)
    taken = [assembly.add(0, 1, 100, 0, 2 * i, b"x") for i in range(50)]
    assert sum(taken) == RANGES_MAX


def fragments(datagrams):
    """Return (record length, message_seq, offset, length) of each handshake record."""
    found = []
    for datagram in datagrams:
        while datagram:
            size = datagram[11] << 8 | datagram[12]
            part = datagram[13 : 13 + size]
            if datagram[0] == CONTENT_HANDSHAKE:
                found.append((size, part[5], int.from_bytes(part[6:9], "big"), int.from_bytes(part[9:12], "big")))
            datagram = datagram[13 + size :]
    return found


def sent(flight, layer):
    datagrams = []
    datagram = flight.transmit(layer)
    while datagram:
        datagrams.append(bytes(datagram))
        datagram = flight.transmit(layer)
    return datagrams


def test_small_messages_share_a_datagram():
    flight = Flight([(0, CONTENT_HANDSHAKE, whole(2, 1, bytes(40))), (0, CONTENT_HANDSHAKE, whole(14, 2, b""))], 1000, 1232)
    (datagram,) = sent(flight, RecordLayer())
    assert fragments([datagram]) == [(52, 1, 0, 40), (12, 2, 0, 0)]


def test_a_large_message_is_fragmented_to_the_mtu():
    for mtu in (128, 200, 256):
        flight = Flight([(0, CONTENT_HANDSHAKE, whole(1, 0, bytes(500)))], 1000, mtu)
        datagrams = sent(flight, RecordLayer())
        assert max(len(datagram) for datagram in datagrams) <= mtu
        assert sum(fragment[3] for fragment in fragments(datagrams)) == 500
        assembly = Reassembly(0, KeyExchange)
        for _, sequence, offset, length in fragments(datagrams):
            assembly.add(0, 1, 500, sequence, offset, bytes(length))
        assert assembly.take()


def test_fragments_keep_to_the_record_size_limit_of_the_peer():
    layer = RecordLayer()
    layer.record_max = 64
    flight = Flight([(0, CONTENT_HANDSHAKE, whole(1, 0, bytes(200)))], 1000, 1232)
    assert max(fragment[0] for fragment in fragments(sent(flight, layer))) <= 64


def test_retransmission_timeouts_double_and_datagrams_shrink():
    flight = Flight([(0, CONTENT_HANDSHAKE, whole(1, 0, bytes(900)))], 1000, 1232)
    layer = RecordLayer()
    flight.start(0)
    dues, sizes = [], []
    while True:
        sizes.append(max(len(datagram) for datagram in sent(flight, layer)))
        now = flight.due
        dues.append(now)
        if not flight.timeout(now):
            break
    waits = [after - before for before, after in zip([0] + dues, dues)]
    assert waits == [1000, 2000, 4000, 8000, 16000, 32000] + [60000] * 5
    assert sizes[0] == sizes[1] > 900 and sizes[2:4] == [616, 616] and sizes[-1] == 128, "smaller with each second repetition"
