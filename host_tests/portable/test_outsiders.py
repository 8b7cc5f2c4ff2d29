# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Copies, handshakes in another's name, junk and insiders neither silence, move nor end a session, and seal nothing."""

from dtls_pair import IDENTITY, drain, give
from support import forge
from test_listener import RANDOM, client, exchange, half_open, listener, transmitted

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CONNECTED, DATA, NONE
from dice.limits import HALF_OPEN_MAX, HALF_OPEN_SAFE_MS, RECORD_SIZE_LIMIT_BYTES, REPEAT_MIN_MS
from dice.reasons import E_EVICTED, E_REPLACED
from dice.suites import PSK_AES_128_CCM


def wrong(identity=IDENTITY):
    return Session(Client(Psk(identity, b"wrong"), RANDOM), RecordLayer(), 0, timer_ms=1000)


def connect(session, server, address, now=0):
    """Connect a client; return the ServerSession."""
    assert exchange(session, server, address, now) == [CONNECTED] and session.connected
    return server.sessions[-1]


def talks(session, server, address, now=0):
    """Return whether data comes through both ways."""
    session.send(b"up", now)
    event, peer = NONE, None
    for datagram in drain(session):
        event, peer = server.receive(datagram, address, now)
    if event != DATA or peer.session.data != b"up":
        return False
    peer.session.send(b"down", now)
    return any(give(session, [datagram], now) == [b"down"] for datagram, to in transmitted(server) if to == address)


def test_a_copy_of_the_hello_of_a_session_takes_no_slot_and_silences_nobody():
    """It comes late, or somebody who saw it sends it. Its cookie is valid for at least a minute."""
    for cid in (None, b""):
        server, session = listener(), client(cid=cid)
        server.receive(drain(session)[0], b"a", 0)
        give(session, [transmitted(server)[0][0]])
        hello = drain(session)
        server.receive(hello[0], b"a", 0)
        for datagram, _ in transmitted(server):
            give(session, [datagram])
        connect(session, server, b"a")
        for now in (0, 5000):
            assert server.receive(hello[0], b"a", now) == (NONE, None)
            assert not server.half_open and not transmitted(server)
            assert talks(session, server, b"a", now)
        if session.layer.peer_cid:
            assert talks(session, server, b"b")  # it has moved
            assert server.receive(hello[0], b"a", 5000) == (NONE, None) and not server.half_open


def test_a_handshake_in_the_name_of_a_client_without_connection_id_does_not_silence_it():
    """Somebody who reads the HelloVerifyRequest can start one. The client itself, if it has restarted, replaces its session."""
    server, session, other = listener(), client(cid=None), client(cid=None)
    connect(session, server, b"a")
    half_open(other, server, b"a", 1000)
    flight = transmitted(server)
    assert len(server.half_open) == 1
    assert talks(session, server, b"a", 1000) and talks(session, server, b"a", 300_000)
    give(other, [datagram for datagram, _ in flight], 1000)
    assert exchange(other, server, b"a", 1000) == [CONNECTED]
    assert len(server.sessions) == 1 and talks(other, server, b"a", 2000)


def test_a_client_gets_the_last_flight_again_while_there_is_a_handshake_in_its_name():
    """Its repeated flight begins in plaintext, which the other handshake reads, and ends with the record that asks."""
    server, session, other = listener(), client(cid=None), client(cid=None)
    half_open(session, server, b"a")
    give(session, [datagram for datagram, _ in transmitted(server)])
    for datagram in drain(session):
        assert server.receive(datagram, b"a", 0)[0] == CONNECTED
    transmitted(server)  # the last flight is lost
    half_open(other, server, b"a")
    transmitted(server)
    now = session.deadline()
    session.timeout(now)
    exchange(session, server, b"a", now)
    assert session.connected and talks(session, server, b"a", now)


def test_a_handshake_receives_from_its_own_address_alone_and_does_not_move():
    """An insider sends its Finished with the address of somebody else: that session is neither moved nor ended."""
    for cid in (None, b""):
        server, victim, insider = listener(), client(cid=cid), client(b"other")
        established = connect(victim, server, b"victim")
        half_open(insider, server, b"insider")
        give(insider, [datagram for datagram, _ in transmitted(server)])
        flight = drain(insider)[0]
        size = 13 + (flight[11] << 8 | flight[12]) + 14
        server.receive(flight[:size], b"insider", 5)  # until ChangeCipherSpec
        assert server.receive(flight[size:], b"victim", 5)[0] == NONE
        assert server.sessions == [established] and len(server.half_open) == 1 and not transmitted(server)
        assert talks(victim, server, b"victim", 5)
        assert server.receive(flight[size:], b"insider", 5)[0] == CONNECTED
        assert talks(victim, server, b"victim", 5)


def test_a_session_that_moves_to_the_address_of_another_does_not_starve_it():
    server, victim, insider = listener(), client(cid=None), client(b"other")
    moving = connect(insider, server, b"insider")
    connect(victim, server, b"victim")
    insider.send(b"x", 0)
    assert server.receive(drain(insider)[0], b"victim", 0)[0] == DATA and (moving.address, moving.moved) == (b"victim", 1)
    assert talks(victim, server, b"victim")


def test_a_newcomer_replaces_sessions_of_its_own_identity_or_without_connection_id():
    """A session with a connection id may have been moved to the newcomer's address by somebody who copied its last record."""
    for identity, cid, replaced in ((IDENTITY, b"", True), (b"other", None, True), (b"other", b"", False)):
        server, before, after = listener(), client(identity, cid=cid), client()
        old = connect(before, server, b"a")
        connect(after, server, b"a")
        assert (old not in server.sessions) == replaced and talks(after, server, b"a")
        assert replaced or talks(before, server, b"a")
        assert (old.session.error.reason == E_REPLACED) if replaced else old.session.error is None


def test_an_evicted_session_a_replaced_one_and_a_closed_one_differ():
    server = listener(sessions_max=1)
    first, second, third = client(), client(b"other"), client(b"other")
    ends = [connect(first, server, b"a"), connect(second, server, b"b"), connect(third, server, b"b")]
    assert [end.session.error and end.session.error.reason for end in ends] == [E_EVICTED, E_REPLACED, None]
    assert not any(end.session.connected for end in ends[:2])
    third.close()
    server.receive(drain(third)[0], b"b", 0)
    assert ends[2].session.error is None and not ends[2].session.connected and not server.sessions


def test_junk_seals_nothing_and_does_not_end_a_client_that_has_resumed():
    """The server's ChangeCipherSpec is out, so an alert would be protected, and believed. Blind junk needs 256 datagrams."""
    tickets = Tickets(RANDOM, 1 << 28, 0)
    server, session = listener(tickets=tickets), client()
    connect(session, server, b"a")
    session, resume = client(resume=session.resumption()), session.resumption()
    assert resume
    half_open(session, server, b"b")
    for datagram, _ in transmitted(server):
        give(session, [datagram])
    assert session.connected
    held_back, sealed = drain(session), server.half_open[0].session.layer.epochs[1].next
    for now in (0, REPEAT_MIN_MS, 2 * REPEAT_MIN_MS):
        for address in (b"b", b"attacker"):
            for cid in range(256):
                server.receive(b"\x19\xfe\xfd\0\1" + bytes(5) + bytes((99, cid, 0, 32)) + bytes(32), address, now)
    for number in range(HALF_OPEN_MAX):  # slots are wanted
        half_open(client(), server, bytes((number,)), now)
    assert [alert for alert, to in transmitted(server) if to == b"b"] == []
    assert server.half_open[0].session.layer.epochs[1].next == sealed
    assert server.receive(held_back[0], b"b", now)[0] == CONNECTED and talks(session, server, b"b", now)


def test_a_handshake_survives_junk_and_damage_before_and_after_its_keys_exist():
    junk = b"\x17\xfe\xfd\0\1" + bytes(5) + b"\x63\0\x20" + bytes(32)
    for when in range(2):
        server, session = listener(), client(cid=None)
        half_open(session, server, b"a")
        flight = [datagram for datagram, _ in transmitted(server)]
        if when == 0:
            server.receive(junk, b"a", 0)  # kept until there are keys
        give(session, flight)
        finished = drain(session)[0]
        server.receive(forge(finished), b"a", 0)
        assert not transmitted(server), "an alert, on which all clients give up"
        session.timeout(session.deadline())
        assert exchange(session, server, b"a", 9000) == [CONNECTED] and session.connected


def test_a_client_with_a_wrong_key_is_told_when_it_repeats_itself():
    for identity in (IDENTITY, b"unknown"):
        server, session = listener(timer_ms=9000), wrong(identity)
        exchange(session, server, b"a")
        assert session.deadline() == 1000 and session.error is None
        session.timeout(1000)
        exchange(session, server, b"a", 1000)
        session.timeout(2000)
        assert session.error.alert == 51


def test_a_good_client_connects_at_once_next_to_any_number_with_a_wrong_key():
    server = listener()
    bystander = connect(client(), server, b"bystander")
    for number in range(20):
        exchange(wrong(b"unknown" if number & 1 else IDENTITY), server, bytes((number, 0)), number)
        assert len(server.half_open) <= HALF_OPEN_MAX
        connect(client(b"other"), server, bytes((number, 1)), number)
    assert server.refused == 0 and len(server.half_open) == HALF_OPEN_MAX - 1, "kept while nobody wants them"
    assert bystander.session.connected


def test_a_handshake_whose_tags_did_not_fail_keeps_its_slot():
    server, good = listener(), [client() for _ in range(HALF_OPEN_MAX - 1)]
    flights = []
    for number, session in enumerate(good):
        half_open(session, server, bytes((number,)))
        flights += transmitted(server)
    for number in range(10):
        exchange(wrong(), server, bytes((number, 0)))
    for session, (flight, address) in zip(good, flights):
        give(session, [flight])
        connect(session, server, address)
    assert server.refused == 0


def long_hello(size):
    """Return a client whose hello has an unknown extension of `size` bytes."""
    session = client()
    session._handshake.credentials.extensions = ((51, lambda handshake: bytes(size), None, 1),)
    session._handshake.next_send = 0
    session._begin(session._handshake.start(), 0)
    return session


def test_a_hello_that_is_too_long_gets_an_alert_and_frees_its_slot():
    for size, room, alert in ((900, 1024, None), (1300, 1024, 40), (1300, 2048, None), (2000, 2048, 40)):
        server, session = listener(), long_hello(size)
        server._credentials.bytes_max = room
        exchange(session, server, b"a")
        session.timeout(1000)
        assert session.connected == (alert is None) and not server.half_open and server.refused == 0
        assert alert is None or session.error.alert == alert


def echoed(session, server, size):
    """Send a record with `size` bytes, whatever the session allows; return whether it was received and came back."""
    session._out.append(session.layer.seal(23, 1, bytes(size)))
    event, peer = server.receive(drain(session)[0], b"a", 0)
    if event != DATA:
        return False
    peer.session.send(peer.session.data, 0)
    return give(session, [datagram for datagram, _ in transmitted(server)]) == [bytes(size)]


def test_what_is_received_can_be_echoed_and_the_rest_is_counted():
    limits = {"fragment_code": None, "size_limit": None}
    for changes in (
        {},
        {"fragment_code": 1},
        {"fragment_code": 2},
        {"size_limit": 100},
        {"size_limit": 1000},
        {"size_limit": 16_384},
        {"cid": None},
    ):
        for options in ({}, {"size_limit": 300}, {"mtu": 500}):
            server, session = listener(**options), client(**dict(limits, **changes))
            connect(session, server, b"a")
            peer = server.sessions[0].session
            longest = peer.data_max()
            assert session.data_max() <= longest or "mtu" in options, (changes, options)
            for size in (longest - 3, min(longest, session.data_max())):
                assert echoed(session, server, size), (changes, options, size)
            longest = peer.layer.record_max  # a peer with a larger MTU may send more than ours can take back
            for count, size in enumerate((longest + 1, longest + 100, 1300)):
                assert not echoed(session, server, size), (changes, options, size)
                assert peer.layer.dropped == {"long": count + 1}
            assert talks(session, server, b"a")


def test_a_client_takes_no_record_that_it_could_not_send_back():
    """Its own records carry a connection id, those of the server do not."""
    for cid_bytes in (0, 1, 8):
        server, session = listener(cid_bytes=cid_bytes), client(fragment_code=None)
        peer = connect(session, server, b"a").session
        longest = session.data_max()
        for size, received in ((longest, True), (longest + 1, False)):
            datagram = peer.layer.seal(23, 1, bytes(size))
            assert give(session, [bytes(datagram)]) == ([bytes(size)] if received else [])
        assert talks(session, server, b"a")


def test_half_open_slots_are_evicted_after_a_while_as_before():
    server = listener()
    for number in range(HALF_OPEN_MAX):
        half_open(client(), server, bytes((number,)))
    half_open(client(), server, b"late", HALF_OPEN_SAFE_MS - 1)
    assert server.refused == 1
    half_open(client(), server, b"late", HALF_OPEN_SAFE_MS)
    assert server.refused == 1 and server.half_open[-1].address == b"late"


def test_a_record_as_long_as_the_server_says_arrives_with_any_suite_and_connection_id():
    server, session = listener(cid_bytes=8), client(fragment_code=None, size_limit=16_384)
    server._credentials.suites = (PSK_AES_128_CCM,)
    connect(session, server, b"a")
    assert session.layer.record_max == RECORD_SIZE_LIMIT_BYTES and len(session.layer.peer_cid) == 8
    assert echoed(session, server, RECORD_SIZE_LIMIT_BYTES)
