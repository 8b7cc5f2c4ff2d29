# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key that was deleted or changed does nothing new at a server, and soon nothing at all."""

from dtls_pair import IDENTITY, KEY, drain, give
from lossy_network import SeededRandom

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CLOSED, DATA, NONE
from dice.limits import COOKIE_PERIOD_MS, CREDENTIAL_CHECK_MS, TICKET_PERIOD_MS

OTHER_KEY = bytes(16)
RANDOM = SeededRandom(3)  # os.urandom of the emulated board always returns the same bytes


class Keys:
    """Keys by identity; the look-up fails while `broken` is set."""

    def __init__(self):
        self.values = {IDENTITY: KEY, b"other": KEY}
        self.broken = False

    def find(self, identity):
        if self.broken:
            raise ValueError("no disk")
        return self.values.get(identity)

    def change(self, key):
        """Delete the key of IDENTITY, or set another one."""
        if key is None:
            del self.values[IDENTITY]
        else:
            self.values[IDENTITY] = key


def serve(keys):
    return Listener(PskLookup(keys.find), RANDOM, 0, lambda address: address, tickets=Tickets(RANDOM, TICKET_PERIOD_MS, 0))


def client(identity=IDENTITY, now=0, **options):
    return Session(Client(Psk(identity, KEY), RANDOM, **options), RecordLayer(), now)


def step(server, session, now=0, address=b"a"):
    """Pass on what the client has to send, then what the server has to send to it; return the events of the server."""
    events = []
    for datagram in drain(session):
        event = server.receive(datagram, address, now)[0]
        while event != NONE:
            events.append(event)
            event = server.receive(b"", address, now)[0] if event != CLOSED else NONE
    sent = server.transmit()
    while sent:
        if sent[1] == address:
            give(session, [bytes(sent[0])], now)
        sent = server.transmit()
    return events


def settle(server, session, now=0, address=b"a"):
    for _ in range(6):
        step(server, session, now, address)
    return session


def close_all(server):
    """Close all sessions, whose clients hear nothing of it."""
    for session in list(server.sessions):
        server.close(session)
    while server.transmit():
        pass


def pass_time(server, now, end):
    """Call timeout() whenever the server asks for it; return the identities of the sessions that ended."""
    ended = []
    while now < end:
        now = min(end, server.deadline())
        ended += [bytes(client.session.identity) for client in server.timeout(now)]
    return ended


def test_a_deleted_or_changed_key_resumes_nothing():
    """A full handshake follows, which fails: the client has no key of this server any more."""
    for use_ticket in (False, True):
        for key in (None, OTHER_KEY):
            keys = Keys()
            server = serve(keys)
            resume = settle(server, client(tickets=use_ticket)).resumption()
            assert settle(server, client(resume=resume)).resumed
            close_all(server)
            keys.change(key)
            thief = settle(server, client(resume=resume), address=b"t")
            assert not thief.connected and not server.sessions, (use_ticket, key)


def test_a_client_with_the_new_key_connects_although_it_shows_an_old_session():
    for use_ticket in (False, True):
        keys = Keys()
        server = serve(keys)
        resume = settle(server, client(tickets=use_ticket)).resumption()
        keys.change(OTHER_KEY)
        ours = Session(Client(Psk(IDENTITY, OTHER_KEY), RANDOM, resume=resume), RecordLayer(), 0)
        assert settle(server, ours).connected and not ours.resumed
        keys.change(KEY)
        close_all(server)
        assert settle(server, client(resume=resume)).resumed, "the key is again the one of that session"


def test_a_session_id_expires_with_the_tickets_however_often_it_is_used():
    for use_ticket in (False, True):
        server = serve(Keys())
        resume = settle(server, client(tickets=use_ticket)).resumption()
        resumed, now = [], 0
        for _ in range(3):
            then, now = now, now + TICKET_PERIOD_MS * 3 // 4
            pass_time(server, then, now)
            again = settle(server, client(now=now, resume=resume), now)
            assert again.connected
            resumed.append(again.resumed)
            close_all(server)
        assert resumed == [True, True, False], use_ticket


def test_a_look_up_that_fails_resumes_nothing():
    keys = Keys()
    server = serve(keys)
    resume = settle(server, client()).resumption()
    close_all(server)
    again = client(resume=resume)
    step(server, again)  # the cookie
    keys.broken = True
    step(server, again)
    keys.broken = False
    assert settle(server, again).connected and not again.resumed


def test_a_handshake_under_way_does_not_outlive_its_key():
    """The key is deleted or changed between two flights: in a full handshake, and in a resumption."""
    for resuming in (False, True):
        for key in (None, OTHER_KEY):
            for flights in (1, 2):
                keys = Keys()
                server = serve(keys)
                resume = settle(server, client()).resumption() if resuming else None
                close_all(server)
                ours = client(resume=resume)
                for _ in range(flights):
                    step(server, ours)
                keys.change(key)
                settle(server, ours)
                assert not server.sessions, (resuming, key, flights)


def test_an_established_session_ends_when_its_key_is_deleted_or_changed():
    """The other sessions stay."""
    for resuming in (False, True):
        for key in (None, OTHER_KEY):
            keys = Keys()
            server = serve(keys)
            ours, others = settle(server, client()), settle(server, client(b"other"), 0, b"o")
            if resuming:
                ours = settle(server, client(resume=ours.resumption()))
                assert ours.resumed
            keys.change(key)
            assert pass_time(server, 0, CREDENTIAL_CHECK_MS + COOKIE_PERIOD_MS) == [IDENTITY]
            step(server, ours)
            assert not ours.connected and len(server.sessions) == 1, (resuming, key)
            others.send(b"x", 0)
            assert step(server, others, 0, b"o") == [DATA]


def test_a_flood_does_not_keep_a_revoked_session_alive():
    """A program that always has a datagram to read does not call timeout()."""
    keys = Keys()
    server = serve(keys)
    ours = settle(server, client())
    keys.change(None)
    ours.send(b"on", 0)
    assert step(server, ours, CREDENTIAL_CHECK_MS - 1) == [DATA]
    ours.send(b"on", 0)
    assert step(server, ours, CREDENTIAL_CHECK_MS) == [] and not ours.connected
    assert [ended.session.identity for ended in server.timeout(CREDENTIAL_CHECK_MS)] == [IDENTITY]


def test_a_key_that_is_overwritten_in_place_has_changed():
    keys = Keys()
    keys.values[IDENTITY] = bytearray(KEY)
    server = serve(keys)
    settle(server, client())
    keys.values[IDENTITY][0] ^= 1
    server.check_credentials()
    assert not server.sessions


def test_an_application_can_end_it_at_once():
    keys = Keys()
    server = serve(keys)
    ours = settle(server, client())
    keys.change(None)
    server.check_credentials()
    assert [ended.session.identity for ended in server.timeout(0)] == [IDENTITY] and server.timeout(0) == []
    ours.send(b"open", 0)
    assert step(server, ours) == [] and not ours.connected


def test_a_look_up_that_fails_ends_no_session():
    keys = Keys()
    server = serve(keys)
    ours = settle(server, client())
    keys.broken = True
    assert pass_time(server, 0, 10 * CREDENTIAL_CHECK_MS) == []
    keys.broken = False
    assert pass_time(server, 10 * CREDENTIAL_CHECK_MS, 20 * CREDENTIAL_CHECK_MS) == [] and ours.connected
    keys.change(None)
    assert pass_time(server, 20 * CREDENTIAL_CHECK_MS, 22 * CREDENTIAL_CHECK_MS) == [IDENTITY]
