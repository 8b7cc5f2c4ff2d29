# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions from the first hello to the last alert, and what networks and peers can do to them."""

from dtls_pair import IDENTITY, KEY, connected, drain, give, pair, settle
from lossy_network import SeededRandom
from support import raises

from dice.codes import (
    CONTENT_HANDSHAKE,
    EXTENSION_EXTENDED_MASTER_SECRET,
    EXTENSION_RENEGOTIATION_INFO,
    EXTENSION_SESSION_TICKET,
    HANDSHAKE_CLIENT_HELLO,
    HANDSHAKE_SERVER_HELLO,
)
from dice.dtls.client import Client
from dice.dtls.extensions import SERVER_HELLO, write_all
from dice.dtls.handshake import Secrets
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.messages import read_hello, write_extensions, write_hello
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, NONE, PeerError, UsageError
from dice.limits import (
    ALERT_WAIT_MS,
    DATAGRAM_MAX_BYTES,
    EARLY_RECORDS_MAX,
    LAST_FLIGHT_MS,
    MTU_MIN_BYTES,
    RECORD_HEADER_BYTES,
    REPEAT_MIN_MS,
    TIMER_MS,
)
from dice.reasons import (
    E_ALERT,
    E_FINISHED,
    E_ILLEGAL,
    E_MEMORY,
    E_NO_ANSWER,
    E_NOT_BYTES,
    E_NOT_CONNECTED,
    E_NOT_SENT,
    E_OPTION,
    E_STALLED,
    E_TOO_LONG,
)
from dice.record import seal
from dice.suites import PSK_AES_128_CCM
from dice.wire import Writer

_ALERT = 21


def deliver(ours, theirs, data):
    """Send data; return the events of the other side."""
    ours.send(data, 0)
    return give(theirs, drain(ours))


def alert_of(datagram):
    """Return the alert description of a plaintext alert record."""
    assert datagram[0] == _ALERT and datagram[3:5] == b"\0\0"
    return datagram[14]


def test_client_and_server_connect_and_exchange_data():
    ours, theirs = pair()
    assert settle(ours, theirs) == ([CONNECTED], [CONNECTED])
    assert theirs.identity == IDENTITY and ours.layer.dropped == theirs.layer.dropped == {}
    assert deliver(ours, theirs, b"up") == [b"up"] and deliver(theirs, ours, b"down") == [b"down"]


def test_the_overhead_of_a_record_is_29_bytes_and_31_with_a_connection_id():
    ours, theirs = connected(client={"cid": None})
    ours.send(bytes(64), 0)
    assert len(drain(ours)[0]) == 64 + 29
    ours, theirs = connected(server={"cid": b"\1"})
    ours.send(bytes(64), 0)
    theirs.send(bytes(64), 0)
    assert len(drain(ours)[0]) == 64 + 31 and len(drain(theirs)[0]) == 64 + 29


def test_a_session_with_16_byte_tags_exchanges_data():
    lookup = PskLookup({IDENTITY: KEY}.get)
    lookup.suites = (PSK_AES_128_CCM,)
    ours, theirs = pair(lookup=lookup)
    settle(ours, theirs)
    assert deliver(ours, theirs, b"x") == [b"x"]
    ours.send(b"", 0)
    assert len(drain(ours)[0]) == 37 + 0


def test_several_records_in_a_datagram_are_several_events():
    ours, theirs = connected(client={"cid": None})
    datagrams = []
    for data in (b"one", b"two", b"three"):
        ours.send(data, 0)
        datagrams += drain(ours)
    assert give(theirs, [b"".join(datagrams)]) == [b"one", b"two", b"three"]
    assert theirs.layer.dropped == {}


def test_invalid_sends_are_refused():
    ours, _ = pair()
    raises(UsageError, E_NOT_CONNECTED, ours.send, b"", 0)
    ours, _ = connected(client={"fragment_code": 1})
    raises(UsageError, E_NOT_BYTES, ours.send, "text", 0)
    raises(UsageError, E_TOO_LONG, ours.send, bytes(513), 0)
    ours.send(bytes(512), 0)
    raises(UsageError, E_NOT_SENT, ours.send, b"", 0)


def test_server_name_alpn_and_record_size_limit_are_negotiated():
    client = {"server_name": b"lamp.example", "alpn": [b"coap", b"co"], "fragment_code": None, "size_limit": 200}
    ours, theirs = connected(client=client, server={"alpn": [b"co"]})
    assert theirs.server_name == b"lamp.example"
    assert ours.alpn == theirs.alpn == b"co"
    assert theirs.layer.record_max == 200
    ours, theirs = pair(client={"alpn": [b"h2"]}, server={"alpn": [b"co"]})
    give(theirs, drain(ours))
    assert alert_of(drain(theirs)[0]) == 120


def test_the_server_selects_one_of_two_offered_limits():
    """A client may offer both limits. A ServerHello with both is refused (RFC 8449, section 5)."""
    both = {"fragment_code": 1, "size_limit": 200}
    ours, theirs = connected(client=both)
    assert theirs.layer.record_max == 200
    ours, theirs = pair(client=both)
    row = 1, lambda handshake: b"\1", lambda handshake, data: None, SERVER_HELLO
    theirs._handshake.credentials.extensions = (row,)
    settle(ours, theirs)
    assert ours.error.alert == 47 and not theirs.connected


def test_identities_and_keys_of_every_permitted_length_work():
    """Up to the lengths of RFC 7925, section 4.2. A longer identity is treated as an unknown one."""
    for identity, key in ((b"i", b"k"), (bytes(128), bytes(64))):
        ours, theirs = pair(psk=Psk(identity, key), lookup=PskLookup({identity: key}.get))
        settle(ours, theirs)
        assert ours.connected and theirs.identity == identity
    for identity, key in ((b"", KEY), (bytes(129), KEY), (IDENTITY, b""), (IDENTITY, bytes(65))):
        raises(UsageError, E_OPTION, Psk, identity, key)
    psk = Psk(IDENTITY, KEY)
    psk.identity = bytes(129)
    ours, theirs = pair(psk=psk, lookup=PskLookup(lambda identity: KEY))
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    ours.timeout(TIMER_MS)
    give(theirs, drain(ours), TIMER_MS)
    assert [alert_of(datagram) for datagram in drain(theirs)] == [51] and not theirs.connected


def test_both_sides_export_the_same_keying_material():
    ours, theirs = connected()
    assert ours.export(b"EXPORTER-x", 32) == theirs.export(b"EXPORTER-x", 32)
    assert ours.export(b"EXPORTER-x", 32, b"") == theirs.export(b"EXPORTER-x", 32, b"") != ours.export(b"EXPORTER-x", 32)
    ours, theirs = pair()
    for _ in range(2):  # also when it has the keys, and no Finished yet
        raises(UsageError, E_NOT_CONNECTED, ours.export, b"x", 1)
        give(theirs, drain(ours))
        give(ours, drain(theirs))
    assert ours.connected


def resumed(tickets, use_ticket, spoil=None):
    """Connect twice, the second time by resumption; return the two sessions of the second time."""
    ours, _ = connected(client={"tickets": use_ticket}, server={"tickets": (tickets, 0)})
    resumption = ours.resumption()
    assert bool(resumption.ticket) == use_ticket
    if spoil:
        spoil(resumption)
    return connected(client={"resume": resumption}, server={"tickets": (tickets, 0)})


RANDOM = SeededRandom(9)  # os.urandom of the emulated board always returns the same bytes, so all servers would have one secret


def new_tickets():
    return Tickets(RANDOM, 1000, 0)


def test_a_session_resumes_by_id_or_by_ticket():
    for use_ticket in (False, True):
        ours, theirs = resumed(new_tickets(), use_ticket)
        assert ours.resumed and theirs.resumed and theirs.identity == IDENTITY
        assert deliver(ours, theirs, b"x") == [b"x"] and deliver(theirs, ours, b"y") == [b"y"]


def test_a_refused_resumption_becomes_a_full_handshake():
    def other_id(resumption):
        resumption.session_id = bytes(16)

    def other_ticket(resumption):
        resumption.ticket = bytes(resumption.ticket[:-1]) + bytes((resumption.ticket[-1] ^ 1,))

    for use_ticket, spoil in ((False, other_id), (True, other_ticket)):
        ours, theirs = resumed(new_tickets(), use_ticket, spoil)
        assert not ours.resumed and not theirs.resumed
        assert deliver(ours, theirs, b"x") == [b"x"]


def test_a_server_that_does_not_resume_performs_a_full_handshake():
    for use_ticket in (False, True):
        ours, _ = connected(client={"tickets": use_ticket}, server={"tickets": (new_tickets(), 0)})
        ours, theirs = connected(client={"resume": ours.resumption()})
        assert not ours.resumed and not theirs.resumed and deliver(ours, theirs, b"x") == [b"x"]


def test_a_server_resumes_only_with_an_extended_master_secret_and_the_same_suite():
    """RFC 7627, section 5.3. The server repeats the session id, also an empty one beside a ticket (RFC 5077, section 3.4)."""
    tickets = new_tickets()
    tickets.remember(b"known", 0xC0A8, bytes(48), IDENTITY, KEY, 0)
    ticket = tickets.make(0xC0A8, bytes(48), IDENTITY, KEY, 0)
    master_secret, by_ticket = (EXTENSION_EXTENDED_MASTER_SECRET, b""), (EXTENSION_SESSION_TICKET, ticket)
    offered = b"\xc0\xa4\xc0\xa8"
    for session_id, extensions, suites, resumes in (
        (b"known", [master_secret], offered, True),
        (b"known", [], offered, False),
        (b"known", [master_secret], offered[:2], False),
        (b"other", [master_secret], offered, False),
        (b"any", [master_secret, by_ticket], offered, True),
        (b"any", [by_ticket], offered, False),
        (b"", [master_secret, by_ticket], offered, True),
        (b"", [master_secret], offered, False),
        (b"", [by_ticket], offered, False),
    ):
        role = Server(PskLookup({IDENTITY: KEY}.get), RANDOM, tickets=(tickets, 0))
        role.next_send = 0
        hello = write_hello(bytes(32), session_id, b"", suites, extensions)
        flight = role.read(HANDSHAKE_CLIENT_HELLO, hello, hello)
        assert role.resumed == resumes, (session_id, extensions, suites)
        if resumes:
            assert read_hello(bytes(flight[0][2][12:]))[2] == session_id


def test_a_server_resumes_the_last_sessions_by_id():
    tickets = Tickets(RANDOM, 1000, 0, remember=2)
    resumptions = [connected(server={"tickets": (tickets, 0)})[0].resumption() for _ in range(3)]
    found = [tickets.recall(resumption.session_id) for resumption in resumptions]
    assert [bool(ticket) for ticket in found] == [False, True, True]


def test_a_resumption_takes_three_flights():
    tickets = new_tickets()
    for use_ticket in (False, True):
        ours, _ = connected(client={"tickets": use_ticket}, server={"tickets": (tickets, 0)})
        ours, theirs = pair(client={"resume": ours.resumption()}, server={"tickets": (tickets, 0)})
        assert give(theirs, drain(ours)) == []
        assert give(ours, drain(theirs)) == [CONNECTED]
        assert give(theirs, drain(ours)) == [CONNECTED]
        assert drain(ours) == drain(theirs) == [] and ours.resumed and theirs.resumed


def test_a_ticket_of_another_server_is_refused():
    ours, _ = connected(client={"tickets": True}, server={"tickets": (new_tickets(), 0)})
    ours, theirs = connected(client={"resume": ours.resumption()}, server={"tickets": (new_tickets(), 0)})
    assert not ours.resumed and not theirs.resumed and deliver(ours, theirs, b"x") == [b"x"]


def test_a_resumption_with_differing_keys_fails_on_both_sides():
    """Neither side can open the other's records. Nobody connects, and the client knows that the keys differ."""
    tickets = new_tickets()
    for use_ticket in (False, True):
        ours, _ = connected(client={"tickets": use_ticket}, server={"tickets": (tickets, 0)})
        resumption = ours.resumption()
        resumption.master = bytes(48)
        ours, theirs = pair(client={"resume": resumption}, server={"tickets": (tickets, 0)})
        assert settle(ours, theirs) == ([], [])
        assert ours.layer.dropped == {"forged": 1}
        assert time_out(ours)[0] == E_FINISHED and time_out(theirs)[0] == E_STALLED


def test_an_expired_ticket_is_refused():
    tickets = new_tickets()
    ticket = tickets.make(0xC0A8, bytes(48), b"n", KEY, 0)
    tickets.remember(b"id", 0xC0A8, bytes(48), b"n", KEY, 0)
    for now, known in ((0, True), (1999, True), (2000, False)):
        for found in (
            tickets.read(ticket, now, lambda identity: KEY),
            tickets.read(tickets.recall(b"id"), now, lambda identity: KEY),
        ):
            assert (found is not None) == known, now
            assert not known or found == (0xC0A8, bytes(48), b"n", KEY)


def test_close_notify_closes_the_other_side():
    for way in (0, 1):
        ends = connected()
        ends[way].close()
        assert give(ends[1 - way], drain(ends[way])) == [CLOSED]
        assert ends[1 - way].error is None and not ends[1 - way].connected
        (answer,) = drain(ends[1 - way])  # close_notify too (RFC 5246, section 7.2.1)
        assert (answer[0], answer[3:5]) == (_ALERT, b"\0\1")
        raises(UsageError, E_NOT_CONNECTED, ends[way].send, b"", 0)


def test_keys_are_overwritten_on_close():
    ours, _ = connected()
    block, master = ours.layer.keys, ours.secrets.master
    ours.close()
    assert bytes(block) == bytes(40) and bytes(master) == bytes(48)


def failed_handshake(key, known):
    """Return (sizes of datagrams, client's alert, server's alert) of a handshake with a wrong key or an unknown identity."""
    ours, theirs = pair(key=key, lookup=PskLookup(({IDENTITY: KEY} if known else {}).get))
    sizes = []
    for now in (0, 0, 0, TIMER_MS, TIMER_MS):
        ours.timeout(now)
        for end, other in ((ours, theirs), (theirs, ours)):
            for datagram in drain(end):
                sizes.append(len(datagram))
                give(other, [datagram], now)
    assert ours.timeout(TIMER_MS + ALERT_WAIT_MS) == CLOSED and ours.error.reason == E_ALERT
    while theirs.error is None:
        theirs.timeout(theirs.deadline())
    assert theirs.error.reason == E_FINISHED
    return sizes, ours.error.alert, theirs.error.alert


def test_a_wrong_key_and_an_unknown_identity_look_the_same():
    assert failed_handshake(b"wrong", True) == failed_handshake(KEY, False)
    assert failed_handshake(b"wrong", True)[1:] == (51, 51)


def test_a_wrong_key_does_not_cause_endless_retransmission():
    ours, theirs = pair(key=b"wrong")
    datagrams = 0
    for now in range(0, ALERT_WAIT_MS, 10):
        for end, other in ((ours, theirs), (theirs, ours)):
            sent = drain(end)
            datagrams += len(sent)
            give(other, sent, now)
        if now == ALERT_WAIT_MS // 2:
            theirs._flight.restart()  # as its timer would
    assert datagrams <= 9, "more than two for each flight and each alert"


def test_a_plaintext_alert_ends_a_handshake_only_after_a_wait():
    forged = b"\x15\xfe\xfd" + bytes(9) + b"\2\2\x28"
    ours, theirs = pair()
    assert give(ours, [forged]) == [] and ours.deadline() == ALERT_WAIT_MS
    settle(ours, theirs)
    assert ours.connected and ours.timeout(ALERT_WAIT_MS) == 0
    ours, theirs = pair()
    give(ours, [forged])
    assert ours.timeout(ALERT_WAIT_MS) == CLOSED
    assert (ours.error.alert, ours.error.reason) == (40, E_ALERT)


def test_a_forged_finished_does_not_end_a_handshake():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    flight = drain(ours)[0]
    give(theirs, [flight[:-1] + bytes((flight[-1] ^ 1,))])
    assert drain(theirs) == [], "all clients give up when they hear an alert"
    assert theirs.timeout(2000) == NONE and give(theirs, [flight], 2000) == [CONNECTED]


def test_two_forged_finished_and_the_alert_they_cause_do_not_end_a_handshake():
    """The alert reaches the real client, which retransmits before it believes the alert."""
    ours, theirs = pair(client={"cid": None})
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    flight = drain(ours)[0]
    give(theirs, [flight[: 13 + (flight[11] << 8 | flight[12])]])  # the rest is lost
    junk = b"\x16\xfe\xfd\0\1" + bytes(5) + b"\x63\0\x28" + bytes(40)
    for now in (0, REPEAT_MIN_MS - 1, REPEAT_MIN_MS):
        assert drain(theirs) == []
        give(theirs, [junk], now)
    assert theirs.layer.dropped == {"forged": 3}
    alerts = drain(theirs)
    assert [alert_of(alert) for alert in alerts] == [51]
    give(ours, alerts, now)
    assert settle(ours, theirs, now) == ([CONNECTED], [CONNECTED])
    now += ALERT_WAIT_MS
    assert ours.timeout(now) == theirs.timeout(now) == NONE and ours.connected


def test_a_handshake_without_any_answer_times_out():
    ours, _ = pair()
    sent = 0
    while ours.error is None:
        sent += len(drain(ours))
        ours.timeout(ours.deadline())
    assert sent == 11 and (ours.error.alert, ours.error.reason) == (None, E_NO_ANSWER)


def time_out(ours):
    """Let a session time out without its peer; return (reason, the last datagrams that it sent)."""
    while ours.error is None:
        drain(ours)
        ours.timeout(ours.deadline())
    return ours.error.reason, drain(ours)


def test_a_client_that_times_out_closes_a_connected_server():
    """The server is connected, but its last flight was lost. The client's alert is protected, so the server believes it."""
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    drain(theirs)
    reason, last = time_out(ours)
    assert reason == E_STALLED and last[-1][3:5] == b"\0\1"
    assert give(theirs, last) == [CLOSED] and not theirs.connected and theirs.error is None


def test_a_client_closed_during_its_handshake_notifies_the_server():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    ours.close()
    assert give(theirs, drain(ours)) == [CLOSED] and theirs.error is None


def half_resumed():
    """Return a client that resumed, and a server that did not receive the client's last flight."""
    tickets = new_tickets()
    ours, _ = connected(server={"tickets": (tickets, 0)})
    ours, theirs = pair(client={"resume": ours.resumption()}, server={"tickets": (tickets, 0)})
    give(theirs, drain(ours))
    assert give(ours, drain(theirs)) == [CONNECTED] and drain(ours)
    return ours, theirs


def test_a_server_that_times_out_closes_a_resumed_client():
    ours, theirs = half_resumed()
    reason, last = time_out(theirs)
    assert reason == E_STALLED and last[-1][3:5] == b"\0\1"
    assert give(ours, last) == [CLOSED] and not ours.connected


def test_data_before_a_lost_finished_causes_its_retransmission():
    ours, theirs = half_resumed()
    ours.send(b"x", 0)
    assert give(theirs, drain(ours)) == [] and not theirs.connected
    assert theirs.deadline() == REPEAT_MIN_MS, "not at once: the peer has just sent Finished, and will not retransmit it so soon"
    theirs.timeout(REPEAT_MIN_MS)
    assert settle(ours, theirs, REPEAT_MIN_MS) == ([], [CONNECTED, b"x"])


def test_the_last_flight_is_kept_until_the_peer_has_stopped_retransmitting():
    ours, theirs = half_resumed()
    last = 0
    while theirs.error is None:
        now = theirs.deadline()
        theirs.timeout(now)
        asked = drain(theirs)
        last = now if theirs.error is None else last
    assert last < LAST_FLIGHT_MS
    ours.timeout(last)
    assert ours._flight and asked


def test_replayed_and_forged_records_are_counted_and_change_nothing():
    ours, theirs = connected(client={"cid": None})
    ours.send(b"on", 0)
    datagram = drain(ours)[0]
    assert give(theirs, [datagram]) == [b"on"]
    assert give(theirs, [datagram]) == []
    for at in range(len(datagram)):
        damaged = bytearray(datagram)
        damaged[at] ^= 1
        assert give(theirs, [damaged]) == []
        assert not theirs.newest
    for size in range(len(datagram)):
        assert give(theirs, [datagram[:size]]) == []
    assert theirs.layer.dropped["replayed"] >= 1 and theirs.layer.dropped["forged"] and theirs.layer.dropped["malformed"]
    assert deliver(ours, theirs, b"off") == [b"off"]


def test_only_the_newest_record_may_move_the_address():
    ours, theirs = connected(server={"cid": b"\1"})
    datagrams = []
    for data in (b"a", b"b"):
        ours.send(data, 0)
        datagrams += drain(ours)
    theirs.receive(datagrams[1], 0)
    assert theirs.newest
    theirs.receive(datagrams[0], 0)
    assert theirs.data == b"a" and not theirs.newest
    theirs.receive(datagrams[1], 0)
    assert not theirs.newest


def test_records_are_bounded():
    longest = DATAGRAM_MAX_BYTES - RECORD_HEADER_BYTES
    for length, end in ((longest, 13 + longest), (longest + 1, 0)):
        for left in (0, 1):  # as a transport truncates it
            layer = RecordLayer()
            record = b"\x16\xfe\xfd" + bytes(8) + length.to_bytes(2, "big") + bytes(length - left)
            assert (layer.split(record) or 0) == (0 if left else end)
            assert layer.dropped == ({"long": 1} if not end else {"malformed": 1} if left else {})


def test_plaintext_records_have_no_connection_id_and_a_version_of_dtls():
    for head, accepted in ((b"\x16\xfe\xfd", True), (b"\x16\xfe\xff", True), (b"\x16\3\3", False), (b"\x19\xfe\xfd", False)):
        layer = RecordLayer()
        opened = layer.open(head + bytes(8) + b"\0\1x")
        assert opened == (0, CONTENT_HANDSHAKE, b"x") if accepted else not opened
        assert layer.dropped == ({} if accepted else {"malformed": 1})


def test_sequence_numbers_have_48_bits():
    ours, theirs = connected()
    assert deliver(ours, theirs, b"low") == [b"low"]
    keys = ours.layer.epochs[1]
    for sequence in (1 << 32 | 1, (1 << 32) - 1):  # the second one is late, but in the window
        assert give(theirs, [seal(keys.cipher, *keys.write, 23, 1, sequence, b"high")]) == [b"high"]


def test_a_record_with_another_connection_id_is_dropped():
    ours, theirs = connected(server={"cid": b"\1\2"})
    ours.send(b"a", 0)
    datagram = bytearray(drain(ours)[0])
    datagram[12] ^= 1
    assert give(theirs, [datagram]) == [] and theirs.layer.dropped == {"cid": 1}


def test_flights_may_arrive_reversed_and_duplicated():
    ours, theirs = pair(mtu=128, client={"server_name": b"a.server.with.a.name.of.its.own.and.long"})
    for _ in range(12):
        for end, other in ((ours, theirs), (theirs, ours)):
            datagrams = drain(end)
            give(other, datagrams[::-1] + datagrams[:1])
        if not (ours.connected and theirs.connected) and not drain(ours) and not drain(theirs):
            ours.timeout(ours.deadline() or 0)
    assert ours.connected and theirs.connected
    assert deliver(ours, theirs, b"x") == [b"x"]


def test_the_last_flight_is_retransmitted_when_the_peer_repeats_its_own():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    assert theirs.connected and drain(theirs), "the server's last flight, which is lost"
    ours.timeout(ours.deadline())
    give(theirs, drain(ours), 9000)
    assert give(ours, drain(theirs)) == [CONNECTED]
    assert theirs.deadline() == LAST_FLIGHT_MS
    deliver(ours, theirs, b"x")
    assert theirs.deadline() is None


def test_a_message_repeated_in_fragments_causes_one_retransmission():
    """Its last fragment does; the others do not."""
    ours, theirs = pair(client={"server_name": b"n" * 90}, mtu=128)
    hello = drain(ours)
    assert len(hello) > 1
    give(theirs, hello)
    flight = drain(theirs)
    retransmitted = []
    for datagram in hello:
        give(theirs, [datagram], REPEAT_MIN_MS)
        retransmitted.append(len(drain(theirs)))
    assert retransmitted == [0] * (len(hello) - 1) + [len(flight)]


def test_a_finished_repeated_in_fragments_causes_one_retransmission():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    last_flight = drain(theirs)
    retransmitted = []
    for offset in (0, 6):
        header = b"\x14\0\0\x0c" + (theirs._reassembly.next - 1).to_bytes(2, "big") + offset.to_bytes(3, "big") + b"\0\0\6"
        give(theirs, [bytes(ours.layer.seal(CONTENT_HANDSHAKE, 1, header + bytes(6)))], REPEAT_MIN_MS)
        retransmitted.append(len(drain(theirs)))
    assert retransmitted == [0, len(last_flight)]


def test_alerts_that_are_not_transmitted_yet_are_bounded():
    ours, theirs = connected()
    hello = bytes((HANDSHAKE_CLIENT_HELLO,)) + bytes(11)
    give(theirs, [bytes(ours.layer.seal(CONTENT_HANDSHAKE, 1, hello)) for _ in range(5)])
    assert len(drain(theirs)) == EARLY_RECORDS_MAX


def test_records_behind_a_close_notify_are_not_processed():
    ours, theirs = connected()
    ours.send(b"late", 0)
    late = drain(ours)[0]
    ours.close()
    assert give(theirs, [drain(ours)[0] + late]) == [CLOSED]
    assert theirs.layer.dropped == {} and theirs.receive(b"", 0) == NONE


def test_data_that_arrives_before_finished_is_kept_until_connected():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    give(theirs, drain(ours))
    last = drain(theirs)
    theirs.send(b"early", 0)
    early = drain(theirs)
    assert give(ours, early) == []
    assert give(ours, last) == [CONNECTED, b"early"]


def test_finished_that_arrives_before_its_keys_is_kept_until_they_exist():
    ours, theirs = pair(client={"cid": None})
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    flight = drain(ours)[0]
    size = 13 + (flight[11] << 8 | flight[12])
    assert give(theirs, [flight[size + 14 :]]) == []
    assert give(theirs, [flight[:size]]) == [CONNECTED]


def test_plaintext_records_are_dropped_once_connected():
    ours, _ = connected()
    for content_type in (20, 21, 22, 23):
        assert give(ours, [bytes((content_type,)) + b"\xfe\xfd" + bytes(9) + b"\2\2\0"]) == []
    assert ours.connected and ours.layer.dropped == {"epoch": 4}


def test_an_unknown_identity_with_an_empty_key_does_not_connect():
    psk = Psk(IDENTITY, KEY)
    psk._key = b""  # no program can choose an empty key; an attacker can
    ours, theirs = pair(psk=psk, lookup=PskLookup({}.get))
    settle(ours, theirs)
    assert not ours.connected and not theirs.connected


def test_a_finished_with_wrong_verify_data_fails_the_handshake():
    ours, theirs = pair()
    role = ours._handshake
    right = role._put_finished
    role._put_finished = lambda label, digest: right(b"another", digest)
    settle(ours, theirs)
    assert not theirs.connected and theirs.error.alert == 51


def test_a_client_refuses_older_versions():
    ours, theirs = pair()
    give(theirs, drain(ours))
    hello = bytearray(drain(theirs)[0])
    hello[26] = 0xFF  # the ServerHello's version becomes that of DTLS 1.0
    assert give(ours, [hello]) == [CLOSED] and ours.error.alert == 70


def test_a_server_refuses_older_versions():
    ours, theirs = pair()
    hello = bytearray(drain(ours)[0])
    hello[26] = 0xFF  # the client's highest version becomes that of DTLS 1.0
    assert give(theirs, [hello]) == [CLOSED] and theirs.error.alert == 70


def test_a_server_needs_a_hello_with_null_compression():
    hello = write_hello(bytes(32), b"", b"", b"\xc0\xa8", [])
    assert hello[-2:] == b"\1\0"
    for methods, accepted in ((b"\1\0", True), (b"\2\1\0", True), (b"\1\1", False), (b"\0", False)):
        role = Server(PskLookup({}.get), RANDOM)
        role.next_send = 0
        body = bytes(hello[:-2]) + methods
        if accepted:
            assert role.read(HANDSHAKE_CLIENT_HELLO, body, body)
        else:
            raises(PeerError, E_ILLEGAL, role.read, HANDSHAKE_CLIENT_HELLO, body, body)


def test_both_roles_refuse_renegotiation_info_of_a_renegotiation():
    """RFC 5746, sections 3.4 and 3.6: in the first handshake it is empty."""
    for data, accepted in ((b"\0", True), (b"\1\0", False), (b"", False)):
        extensions = [(EXTENSION_RENEGOTIATION_INFO, data)]
        server, client = Server(PskLookup({}.get), RANDOM), Client(Psk(IDENTITY, KEY), RANDOM)
        server.next_send = client.next_send = 0
        client.start()
        hello = write_hello(bytes(32), b"", b"", b"\xc0\xa8", extensions)
        answer = Writer()
        answer.put(b"\xfe\xfd" + bytes(32) + b"\0\xc0\xa8\0")
        write_extensions(answer, extensions)
        for role, kind, body in ((server, HANDSHAKE_CLIENT_HELLO, hello), (client, HANDSHAKE_SERVER_HELLO, answer.data)):
            if accepted:
                role.read(kind, body, body)
            else:
                raises(PeerError, E_ILLEGAL, role.read, kind, body, body)


def test_a_server_confirms_secure_renegotiation_only_to_a_client_that_asks():
    """The client's SCSV asks as the extension does (RFC 5746, section 3.3)."""
    for suites, confirmed in ((b"\xc0\xa8\0\xff", [(EXTENSION_RENEGOTIATION_INFO, b"\0")]), (b"\xc0\xa8", [])):
        role = Server(PskLookup({}.get), RANDOM)
        role.next_send = 0
        hello = write_hello(bytes(32), b"", b"", suites, [])
        role.read(HANDSHAKE_CLIENT_HELLO, hello, hello)
        assert write_all(role, SERVER_HELLO) == confirmed


def test_timers_and_mtus_out_of_range_are_refused():
    role = Client(Psk(IDENTITY, KEY), RANDOM)
    for options in ({"timer_ms": 0}, {"timer_ms": 1 << 29}, {"mtu": MTU_MIN_BYTES - 1}, {"mtu": DATAGRAM_MAX_BYTES + 1}):
        raises(UsageError, E_OPTION, lambda options=options: Session(role, RecordLayer(), 0, **options))
    Session(role, RecordLayer(), 0, timer_ms=1, mtu=MTU_MIN_BYTES)
    Session(role, RecordLayer(), 0, timer_ms=(1 << 29) - 1, mtu=DATAGRAM_MAX_BYTES)


def test_several_messages_in_one_record_are_all_processed():
    ours, theirs = pair()
    give(theirs, drain(ours))
    messages = b""
    for datagram in drain(theirs):
        while datagram:
            size = 13 + (datagram[11] << 8 | datagram[12])
            messages += datagram[13:size]
            datagram = datagram[size:]
    assert messages[0] == 2 and messages[-12] == 14
    give(ours, [b"\x16\xfe\xfd" + bytes(8) + len(messages).to_bytes(2, "big") + messages])
    settle(ours, theirs)
    assert ours.connected and theirs.connected


def test_only_two_records_are_kept_until_keys_exist():
    ours, theirs = pair()
    give(theirs, drain(ours))
    for number in range(5):
        assert give(theirs, [b"\x17\xfe\xfd\0\1" + bytes(5) + bytes((number, 0, 24)) + bytes(24)]) == []
    assert len(theirs._early) == 2 and theirs.layer.dropped == {"epoch": 3}


def test_truncated_extensions_are_refused_with_an_alert():
    """A server name or protocol that ends within its length, as anybody with a cookie can send."""
    for kind in (0, 1, 16, 28, 54):
        for data in (b"", b"\0", b"\0\0", b"\0\1", b"\0\3\0\0", b"\xff" * 5):
            ours, theirs = pair(server={"alpn": [b"co"], "cid": b"\1"}, client={"fragment_code": None, "cid": None})
            role = ours._handshake
            role._flight = None
            import dice.dtls.client

            write = dice.dtls.client.write_hello

            def with_extension(random, session_id, cookie, suites, extensions, kind=kind, data=data, write=write):
                return write(random, session_id, cookie, suites, extensions + [(kind, data)])

            dice.dtls.client.write_hello = with_extension
            try:
                ours._begin(role.start(), 0)
            finally:
                dice.dtls.client.write_hello = write
            role.next_send = 0
            datagrams = drain(ours)
            give(theirs, [datagrams[0][:17] + b"\0\0" + datagrams[0][19:]])
            assert theirs.error is None or theirs.error.alert in (47, 50, 120), (kind, data)


def test_a_lack_of_memory_while_deriving_keys_ends_the_handshake():
    """Although the role has already changed its state."""
    for name in ("key_block", "derive_master"):
        ours, theirs = pair()
        give(theirs, drain(ours))
        original = getattr(Secrets, name)

        def lacking(self, *arguments):
            raise MemoryError

        setattr(Secrets, name, lacking)
        try:
            assert give(ours, drain(theirs)) == [CLOSED]
        finally:
            setattr(Secrets, name, original)
        assert (ours.error.alert, ours.error.reason) == (80, E_MEMORY)


def test_only_a_failed_tag_raises_doubt_about_the_key():
    ours, theirs = pair()
    give(theirs, drain(ours))
    give(ours, drain(theirs))
    flight = drain(ours)[0]
    size = 13 + (flight[11] << 8 | flight[12])
    give(theirs, [flight[:size]])
    give(theirs, [b"\x17\xfe\xfd\0\2" + bytes(8)])
    assert drain(theirs) == [] and theirs.layer.dropped == {"epoch": 1}
    junk = b"\x16\xfe\xfd\0\1" + bytes(5) + b"\x63\0\x28" + bytes(40)
    give(theirs, [junk])
    assert theirs.layer.dropped["forged"] == 1 and drain(theirs) == []
    give(theirs, [b"\x17\xfe\xfd\0\2" + bytes(8), b"\x17\xfe\xfd\0\1" + bytes(8)], REPEAT_MIN_MS)
    assert drain(theirs) == [], "no tag failed"
    give(theirs, [junk], REPEAT_MIN_MS)
    assert len(drain(theirs)) == 1
    assert give(theirs, [flight]) == [CONNECTED]


def test_a_lack_of_memory_in_the_role_ends_the_handshake():
    """A half-processed message cannot be continued. The peer gets an alert, and the exception does not leave the session."""
    for way in (0, 1):
        ends = ours, theirs = pair()
        if way == 0:
            give(theirs, drain(ours))

        def read(*_):
            raise MemoryError

        ends[way]._handshake.read = read
        assert give(ends[way], drain(ends[1 - way])) == [CLOSED]
        assert (ends[way].error.alert, ends[way].error.reason) == (80, E_MEMORY)
        assert [alert_of(datagram) for datagram in drain(ends[way])] == [80]
