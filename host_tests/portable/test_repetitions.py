# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Two sides that cannot agree, and answer each repetition at once, send a bounded number of datagrams, each second and in all."""

from dtls_pair import connected, drain, give, pair
from test_listener import RANDOM, client, half_open, listener, transmitted
from test_outsiders import wrong

from dice.codes import CONTENT_HANDSHAKE
from dice.dtls.resumption import Tickets
from dice.limits import HELLOS_MAX, HELLOS_PERIOD_MS, REPEAT_MIN_MS, REPEATS_MAX, RETRANSMISSIONS_MAX


def repeated(session, datagrams, milliseconds):
    """Give a session the same datagrams each millisecond; return how many it sends."""
    sent = 0
    for now in range(milliseconds):
        for datagram in datagrams:
            give(session, [datagram], now)
            session.timeout(now)
            sent += len(drain(session))
    return sent


def test_a_client_answers_a_repeated_flight_once_in_a_while_and_so_often():
    """A wrong key against a server that repeats itself at once, such as that of wolfSSL."""
    server, session = listener(), wrong()
    half_open(session, server, b"a")
    flight = [datagram for datagram, _ in transmitted(server)]
    assert len(flight) == 1 and repeated(session, flight, 1) == 1
    for _ in range(1000):
        assert repeated(session, flight, 1) == 0
    again = wrong()
    half_open(again, listener(), b"a")
    give(session, flight, REPEAT_MIN_MS - 1)
    assert not drain(session)
    give(session, flight, REPEAT_MIN_MS)
    assert len(drain(session)) == 1
    sent = 0
    for now in range(REPEAT_MIN_MS, 300_000, 50):
        give(session, flight, now)
        session.timeout(now)
        sent += len(drain(session))
    assert sent <= REPEATS_MAX + RETRANSMISSIONS_MAX


def test_a_server_answers_a_repeated_hello_once_in_a_while_and_so_often():
    for tickets in (None, Tickets(RANDOM, 1 << 28, 0)):
        server, session = listener(tickets=tickets, timer_ms=1 << 28), client()
        server.receive(drain(session)[0], b"a", 0)
        give(session, [transmitted(server)[0][0]])
        hello = drain(session)[0]
        sent, last = 0, -REPEAT_MIN_MS
        for now in range(0, 200 * REPEAT_MIN_MS, 20):
            server.receive(hello, b"a", now)
            if transmitted(server):
                assert now - last >= REPEAT_MIN_MS
                sent, last = sent + 1, now
        assert sent == 1 + REPEATS_MAX


def test_a_flight_of_which_one_message_was_missing_is_answered_once():
    """The server repeats it as a whole. Botan ends a session in which a flight comes twice."""
    ours, theirs = pair(mtu=128, client={"cid": None})
    give(theirs, drain(ours))
    (datagram,) = drain(theirs)
    size = 13 + (datagram[11] << 8 | datagram[12])
    first, second = datagram[:size], datagram[size:]
    assert give(ours, [second]) == [] and not drain(ours)
    sent = 0
    for datagram in (first, second):
        give(ours, [datagram], 1000)
        sent += len(drain(ours))
    assert sent == 1


def test_a_server_without_state_answers_so_many_hellos_from_an_address():
    """A client whose cookie never comes back right, since its hello changes on the way."""
    server, session = listener(), client()
    server.receive(drain(session)[0], b"c", 0)
    give(session, [transmitted(server)[0][0]])
    other = drain(session)[0]  # with the cookie of another address
    sent = 0
    for now in range(3 * HELLOS_PERIOD_MS):
        server.receive(other, b"a", now)
        sent += len(transmitted(server))
    assert sent == 3 * HELLOS_MAX and server.refused == 3 * (HELLOS_PERIOD_MS - HELLOS_MAX)
    server.receive(other, b"b", now)
    assert transmitted(server), "another address"


def test_handshakes_that_begin_anew_and_anew_are_bounded():
    """A client that numbers its hello anew each time has a valid cookie for all of them."""
    server, session = listener(), client()
    server.receive(drain(session)[0], b"a", 0)
    give(session, [transmitted(server)[0][0]])
    hello = drain(session)[0]
    sent = 0
    for number in range(1000):
        server.receive(hello[:17] + number.to_bytes(2, "big") + hello[19:], b"a", 0)
        sent += len(transmitted(server))
    assert sent == HELLOS_MAX and len(server.half_open) == 1


def test_hellos_in_the_name_of_a_client_do_not_use_up_its_own():
    """20 spoofed datagrams in a second kept it out, with or without a cookie that cannot be right."""
    for start in (0, 1):
        server, session, other = listener(), client(), client()
        hello = drain(other)[0]
        server.receive(hello, b"c", 0)
        give(other, [transmitted(server)[0][0]])
        spoofed = (hello, drain(other)[0])
        for number in range(2):
            for _ in range(2 * HELLOS_MAX):
                server.receive(spoofed[start], b"a", 0)
                transmitted(server)
            server.receive(drain(session)[0], b"a", 0)
            out = transmitted(server)
            assert out, (start, number)
            give(session, [out[0][0]])
        assert len(server.half_open) == 1


def test_renegotiation_is_refused_so_often():
    ours, theirs = connected(client={"cid": None})
    sent = 0
    for _ in range(1000):
        hello = bytes((1,)) + bytes(11)
        give(theirs, [bytes(ours.layer.seal(CONTENT_HANDSHAKE, 1, hello))])
        sent += len(drain(theirs))
    assert sent == REPEATS_MAX and theirs.connected
