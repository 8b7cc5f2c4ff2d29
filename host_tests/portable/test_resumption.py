# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions that are resumed again and again, and clients that crash in a handshake and start over from the same port."""

from dtls_pair import IDENTITY, KEY, drain, give
from lossy_network import SeededRandom

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import DATA
from dice.limits import HELLOS_PERIOD_MS, TICKET_PERIOD_MS

RANDOM = SeededRandom(5)  # os.urandom of the emulated board always returns the same bytes


def serve():
    tickets = Tickets(RANDOM, TICKET_PERIOD_MS, 0)
    return Listener(PskLookup({IDENTITY: KEY}.get), RANDOM, 0, lambda address: address, tickets=tickets)


def client(now=0, **options):
    return Session(Client(Psk(IDENTITY, KEY), RANDOM, **options), RecordLayer(), now)


def step(server, session, now=0):
    """Exchange what both sides have to send; return the events of the server."""
    events = [server.receive(datagram, b"a", now)[0] for datagram in drain(session)]
    while server.receive(b"", b"a", now)[0]:
        pass
    sent = server.transmit()
    while sent:
        give(session, [bytes(sent[0])], now)
        sent = server.transmit()
    return events


def settle(server, session, now=0):
    for _ in range(6):
        step(server, session, now)
    return session


def test_what_a_resumed_session_gives_resumes_again():
    for tickets in (False, True):
        server = serve()
        session = settle(server, client(tickets=tickets))
        for _ in range(3):
            resume = session.resumption()
            session.close()
            step(server, session)
            session = settle(server, client(resume=resume))
            assert session.connected and session.resumed, tickets
            assert len(server.sessions) == 1


def test_a_client_that_crashes_after_any_flight_connects_anew_from_the_same_port():
    for resuming in (False, True):
        server = serve()
        resume = settle(server, client()).resumption() if resuming else None
        for flights in range(1, 6):
            now = flights * HELLOS_PERIOD_MS  # more hellos of one address are not answered at once
            crashed = client(now, resume=resume)
            for _ in range(flights):
                step(server, crashed, now)
            session = settle(server, client(now, resume=resume), now)
            assert session.connected and session.resumed == resuming, (resuming, flights)
            session.send(b"alive", now)
            assert step(server, session, now) == [DATA] and len(server.sessions) == 1
            server.timeout(now)
