# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server's socket: it keeps no state for unproven addresses, they evict nobody, and a session may change its address."""

from collections import namedtuple

from dtls_pair import IDENTITY, KEY, drain, give
from lossy_network import SeededRandom

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, DATA, NONE, PeerError
from dice.limits import COOKIE_PERIOD_MS, HALF_OPEN_MAX, HALF_OPEN_MS, HALF_OPEN_SAFE_MS
from dice.reasons import E_STALLED

KEYS = {IDENTITY: KEY, b"other": KEY}
RANDOM = SeededRandom(3)  # os.urandom of the emulated board always returns the same bytes, so there would be only one connection id


def listener(**options):
    return Listener(PskLookup(KEYS.get), RANDOM, 0, lambda address: address, **options)


def client(identity=IDENTITY, **options):
    return Session(Client(Psk(identity, KEY), RANDOM, **options), RecordLayer(), 0)


def transmitted(server):
    """Return [(datagram, address), ...] that the server has to transmit."""
    found = []
    sent = server.transmit()
    while sent:
        found.append((bytes(sent[0]), sent[1]))
        sent = server.transmit()
    return found


def exchange(session, server, address, now=0, rounds=6):
    """Exchange datagrams between a client and the server; return the server's events."""
    events = []
    for _ in range(rounds):
        for datagram in drain(session):
            event, _ = server.receive(datagram, address, now)
            while event != NONE:
                events.append(event)
                event = server.receive(b"", address, now)[0] if event != CLOSED else NONE
        for datagram, to in transmitted(server):
            if to == address:
                give(session, [datagram], now)
    return events


def half_open(session, server, address, now=0):
    """Run a client's handshake up to the server's reception of the hello with cookie."""
    exchange(session, server, address, now, 1)
    for datagram in drain(session):
        server.receive(datagram, address, now)


def test_a_client_connects_after_returning_the_cookie():
    server, session = listener(), client()
    assert exchange(session, server, b"a") == [CONNECTED]
    assert session.connected and [peer.address for peer in server.sessions] == [b"a"] and not server.half_open


def test_hellos_without_cookie_leave_no_state():
    server = listener()
    hello = drain(client())[0]
    for number in range(300):
        address = number.to_bytes(2, "big")
        server.receive(hello, address, 0)
        ((datagram, to),) = transmitted(server)
        assert to == address and len(datagram) <= len(hello), "no amplification"
    assert not server.sessions and not server.half_open and server.deadline() == COOKIE_PERIOD_MS


def test_a_cookie_is_valid_for_one_address_one_hello_and_one_period():
    server = listener()

    def returned(address, later, other=None):
        session = client()
        server.receive(drain(session)[0], b"a", 0)
        give(session, [transmitted(server)[0][0]])
        hello = bytearray(drain(session)[0])
        if other:
            hello[other] ^= 1
        server.receive(hello, address, later)
        taken = len(server.half_open)
        transmitted(server)
        server.half_open = []
        return taken

    assert returned(b"a", 0) == returned(b"a", COOKIE_PERIOD_MS) == 1
    assert returned(b"b", COOKIE_PERIOD_MS) == 0
    assert returned(b"a", 0, 13 + 12 + 2) == 0, "another random"
    assert returned(b"a", 0, 13 + 12 + 2 + 32 + 1 + 1) == 0, "another cookie"


def test_an_expired_cookie_is_refused():
    server, session = listener(), client()
    server.receive(drain(session)[0], b"a", 0)
    give(session, [transmitted(server)[0][0]])
    hello = drain(session)[0]
    server.receive(hello, b"a", 2 * COOKIE_PERIOD_MS)
    assert not server.half_open


def renumbered(hello, record_seq, message_seq):
    return hello[:5] + record_seq.to_bytes(6, "big") + hello[11:17] + message_seq.to_bytes(2, "big") + hello[19:]


def test_a_hello_with_sequence_numbers_near_their_limit_is_ignored():
    """Both sides count on from the numbers of the hello, which anybody can choose. Those that are accepted never overflow."""
    for record_seq, message_seq, right in (
        ((1 << 31) - 1, 1, True),
        (1, (1 << 15) - 1, True),
        (1 << 31, 1, False),
        ((1 << 32) - 1, 1, False),
        ((1 << 48) - 1, 1, False),
        (1, 1 << 15, False),
        (1, 0xFFFF, False),
    ):
        server, session = listener(), client()
        server.receive(drain(session)[0], b"a", 0)
        give(session, [transmitted(server)[0][0]])
        server.receive(renumbered(drain(session)[0], record_seq, message_seq), b"a", 0)
        assert bool(transmitted(server)) == bool(server.half_open) == right
        while server.half_open:
            server.timeout(server.deadline())
            transmitted(server)


def test_a_hello_with_a_renewed_cookie_restarts_the_handshake():
    """The server's flights were lost for so long that the client's cookie expired. Two restarts succeed, three do not."""
    for times in (1, 2, 3):
        server, session = listener(), client()
        for number in range(times):
            half_open(session, server, b"a", 3 * number * COOKIE_PERIOD_MS)
            transmitted(server)
            session.timeout(session.deadline())
        events = exchange(session, server, b"a", 3 * times * COOKIE_PERIOD_MS)
        assert events == ([CONNECTED] if times < 3 else [])
        assert session.connected == (times < 3)


Taken = namedtuple("Taken", ("session", "address", "cid", "random"))  # a ServerSession that takes little memory


def test_a_client_gets_no_connection_id_if_all_are_taken():
    """It is then found by its address."""
    server = listener(sessions_max=300)
    idle = client()
    taken = [Taken(idle, b"elsewhere", bytes((number & 255,)), b"") for number in range(260)]
    del taken[255:]  # the list has room for more then, although MicroPython's heap is fragmented later
    server.sessions = taken
    session = client()
    assert exchange(session, server, b"a") == [CONNECTED] and len(session.layer.peer_cid) == 1
    another = client()
    assert exchange(another, server, b"b") == [CONNECTED] and another.layer.peer_cid == b""
    another.send(b"on", 0)
    assert server.receive(drain(another)[0], b"b", 0)[0] == DATA


def test_tickets_expire_although_no_client_comes():
    """Ticks wrap after 12 days; half of that period looks like the past."""
    tickets = Tickets(RANDOM, 86_400_000, 0)
    server, session = listener(tickets=tickets), client(tickets=True)
    assert exchange(session, server, b"a") == [CONNECTED]
    resume = session.resumption()
    server.close(server.sessions[0])
    transmitted(server)
    assert tickets.read(resume.ticket, 0, KEYS.get)
    for _ in range(8 * 24 * 60):
        now = server.deadline()
        server.timeout(now)
    assert tickets.read(resume.ticket, now, KEYS.get) is None


def fill_half_open_slots(server):
    """Take all half-open slots, the second one first."""
    for number in (1, 0, 2, 3):
        half_open(client(), server, bytes((number,)), number)
    return list(server.half_open)


def test_young_half_open_slots_are_not_evicted():
    server = listener()
    before = fill_half_open_slots(server)
    half_open(client(), server, b"late", HALF_OPEN_SAFE_MS - 1)
    assert server.half_open == before and server.refused == 1


def test_a_new_hello_from_the_same_address_takes_over_its_slot_at_once():
    server = listener()
    before = fill_half_open_slots(server)
    transmitted(server)
    half_open(client(), server, b"\1", 5)
    assert server.half_open[:-1] == before[1:] and server.half_open[-1].address == b"\1" and server.refused == 0
    assert before[0].session.deadline() is None
    assert all(datagram[0] == 22 for datagram, _ in transmitted(server)), "no alert, which the new handshake would receive"


def test_the_oldest_half_open_slot_is_evicted_for_a_new_address():
    server = listener()
    before = fill_half_open_slots(server)
    late = client()
    half_open(late, server, b"late", HALF_OPEN_SAFE_MS)
    assert server.refused == 0 and [peer.address for peer in server.half_open] == [b"\1", b"\2", b"\3", b"late"]
    assert before[1].session.deadline() is None and before[1].session.transmit() is None
    sent = transmitted(server)
    assert [datagram[-2:] for datagram, address in sent if address == b"\0"] == [b"\1\0"], "the evicted client gets close_notify"
    give(late, [datagram for datagram, address in sent if address == b"late"])
    assert exchange(late, server, b"late", HALF_OPEN_SAFE_MS) == [CONNECTED]


def test_half_open_slots_time_out():
    server = listener()
    fill_half_open_slots(server)
    ended = server.timeout(HALF_OPEN_MS + 3)
    assert len(ended) == HALF_OPEN_MAX and not server.half_open and ended[0].session.error.reason == E_STALLED


def test_a_silent_session_outlives_half_open_slots():
    server, session = listener(), client()
    exchange(session, server, b"a")
    assert server.timeout(HALF_OPEN_MS + 3) == [] and len(server.sessions) == 1
    assert session.connected


def test_a_new_handshake_replaces_the_session_of_its_address_only_when_finished():
    server, old, new = listener(), client(), client()
    exchange(old, server, b"a")
    half_open(new, server, b"a")
    assert len(server.sessions) == 1 and len(server.half_open) == 1
    established = server.sessions[0]
    for datagram, _ in transmitted(server):
        give(new, [datagram])
    exchange(new, server, b"a")
    assert new.connected and len(server.sessions) == 1 and server.sessions[0] is not established


def test_a_full_server_evicts_the_same_identity_first_then_the_least_recently_used():
    server = listener(sessions_max=2)
    sessions = [client(b"other"), client(), client(b"other")]
    exchange(sessions[0], server, b"0", 10)
    exchange(sessions[1], server, b"1", 20)
    newest = client()
    exchange(newest, server, b"2", 30)
    assert sorted(peer.address for peer in server.sessions) == [b"0", b"2"], "the session of the same identity is evicted first"
    exchange(client(b"third"), server, b"3", 40)
    assert sorted(peer.address for peer in server.sessions) == [b"0", b"2"], "a client without the key evicts nobody"
    exchange(sessions[2], server, b"4", 50)
    assert sorted(peer.address for peer in server.sessions) == [b"2", b"4"]


def test_a_session_moves_to_a_new_address_by_its_connection_id():
    server, session = listener(), client()
    exchange(session, server, b"a")
    session.send(b"first", 0)
    first = drain(session)[0]
    session.send(b"second", 0)
    second = drain(session)[0]
    event, peer = server.receive(second, b"b", 0)
    assert event == DATA and peer.address == b"b"
    assert server.receive(second, b"c", 0)[0] == NONE and peer.address == b"b", "a replay moved the session"
    event, _ = server.receive(first, b"c", 0)
    assert event == DATA and peer.address == b"b", "an older record moved the session"
    forged = bytearray(second)
    forged[-1] ^= 1
    assert server.receive(forged, b"c", 0)[0] == NONE and peer.address == b"b"


def test_concurrent_sessions_are_found_by_address_or_connection_id():
    server = listener()
    sessions = [client(b"other", cid=None if number % 2 else b"") for number in range(6)]
    for number, session in enumerate(sessions):
        exchange(session, server, bytes((number,)))
    for number, session in enumerate(sessions):
        session.send(bytes((number,)), 0)
        _, peer = server.receive(drain(session)[0], bytes((number,)), 0)
        assert bytes(peer.session.data) == bytes((number,))


def test_a_session_that_ended_in_a_fatal_alert_is_not_resumed():
    """RFC 5246, section 7.2.2. A session that was closed is resumed."""
    server = listener(tickets=Tickets(RANDOM, 1 << 28, 0))
    for end in (Session.close, lambda session: session._fail(PeerError(80, 52))):
        session = client()
        assert exchange(session, server, b"a") == [CONNECTED]
        resume = session.resumption()
        end(session)
        assert CLOSED in exchange(session, server, b"a")
        again = client(resume=resume)
        exchange(again, server, b"b")
        assert again.connected and again.resumed == (end is Session.close)


def test_malformed_datagrams_leave_no_state():
    server = listener()
    for datagram in (b"\x16", b"\x16\xfe\xfd" + bytes(30), b"\x19" + bytes(40), b"\x17\xfe\xfd" + bytes(20), b"\xff" * 200):
        assert server.receive(datagram, b"a", 0) == (NONE, None)
    hello = drain(client())[0]
    for size in range(1, len(hello)):
        server.receive(hello[:size], b"a", 0)
        transmitted(server)
    assert not server.half_open


def test_closing_a_session_notifies_the_client():
    server, session = listener(), client()
    exchange(session, server, b"a")
    server.close(server.sessions[0])
    ((datagram, _),) = transmitted(server)
    assert give(session, [datagram]) == [CLOSED] and not server.sessions


def test_a_slot_with_only_part_of_a_hello_times_out():
    server, session = listener(), Session(Client(Psk(IDENTITY, KEY), RANDOM, server_name=b"n" * 90), RecordLayer(), 0, mtu=128)
    server.receive(drain(session)[0], b"a", 0)
    give(session, [transmitted(server)[0][0]])
    server.receive(drain(session)[0], b"a", 0)
    assert len(server.half_open) == 1
    while server.half_open:
        due = server.deadline()
        server.timeout(due)
    assert due == HALF_OPEN_MS
    assert not server.half_open


def test_an_empty_first_datagram_is_ignored():
    assert listener().receive(b"", b"a", 0) == (NONE, None)


def test_one_identity_with_many_sessions_evicts_nobody_else():
    """One enrolled device took all places, kept its sessions busy, and each newcomer evicted another silent client."""
    names = [b"%d" % number for number in range(6)]
    keys = dict.fromkeys(names + [b"greedy"], KEY)
    server = Listener(PskLookup(keys.get), RANDOM, 0, lambda address: address, sessions_max=8)

    def connect(identity, now):
        session = client(identity)
        assert CONNECTED in exchange(session, server, b"%s at %d" % (identity, now), now)

    def held(identity):
        return len([peer for peer in server.sessions if peer.session.identity == identity])

    connect(names[0], 10)
    server.sessions[0].last_record = 15
    for now in range(20, 40):
        connect(b"greedy", now)
    assert held(b"greedy") == 7 and held(names[0]) == 1
    for i in range(1, 6):
        connect(names[i], 50 + i)
        assert [held(name) for name in names] == [1] * (i + 1) + [0] * (5 - i), "the silent were evicted"
        connect(b"greedy", 60 + i)
    assert held(b"greedy") == 2
