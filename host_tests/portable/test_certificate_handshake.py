# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshakes with chains of two certificates on both sides, on each interpreter; unit/test_kx_cert has the faults of chains."""

from certificate_pair import Chains, clock
from dtls_pair import drain, give, pair, settle
from lossy_network import SeededRandom
from remembered_curve import Remembered
from support import raises

from dice.dtls.client import Client
from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import UsageError
from dice.limits import CREDENTIAL_CHECK_MS, TICKET_PERIOD_MS
from dice.reasons import E_CERTIFICATE, E_OPTION

UNSUPPORTED, EXPIRED, UNKNOWN, UNKNOWN_CA, DECRYPT_ERROR, FAILURE = 43, 45, 46, 48, 51, 40


def sessions(ours, theirs, mtu=1232):
    """Return a client and a server after what they had to say; their random numbers are always the same (see remembered_curve)."""
    both = pair(psk=ours, lookup=theirs, mtu=mtu, randoms=(SeededRandom(1), SeededRandom(2)))
    settle(*both)
    return both


def alerts(ours, theirs):
    """Return (alert that the client sends, alert that the server sends), None for a side that sends none; both or none connect."""
    both = sessions(ours, theirs)
    found = tuple(session.error.alert if session.error else None for session in both)
    assert [session.connected for session in both] == [found == (None, None)] * 2, found
    return found


def test_both_sides_prove_who_they_are_also_in_small_datagrams():
    chains = Chains()
    with Remembered():
        for mtu in (1232, 128):
            ours, theirs = sessions(chains.client(), chains.server(), mtu)
            assert ours.connected and theirs.connected
            assert (ours.identity, theirs.identity) == (b"node.test", b"lamp.test")
            ours.send(b"up", 0)
            assert give(theirs, drain(ours)) == [b"up"]
            theirs.send(b"down", 0)
            assert give(ours, drain(theirs)) == [b"down"]


def test_a_client_that_proves_nothing_is_served_only_by_who_does_not_ask():
    chains = Chains()
    private, _, chain = chains.made["server"]
    with Remembered():
        nobody = Certificate(None, (), chains.trust, "node.test", clock=clock)
        assert alerts(nobody, CertificateServer(private, chain, clock=clock)) == (None, None)
        assert alerts(nobody, chains.server()) == (None, FAILURE)


def test_a_server_with_the_wrong_certificate_is_refused_and_the_reason_says_so():
    chains = Chains()
    with Remembered():
        for shown, alert in (("expired", EXPIRED), ("usage", UNSUPPORTED), ("stranger", UNKNOWN_CA)):
            ours, theirs = sessions(chains.client(), chains.server(shown=shown))
            assert not ours.connected and not theirs.connected
            assert (ours.error.alert, ours.error.reason) == (alert, E_CERTIFICATE), shown
        assert alerts(chains.client(name="other.test"), chains.server()) == (UNKNOWN, None)


def test_the_name_of_a_client_and_its_key_have_to_be_known():
    chains = Chains()
    with Remembered():
        for found, alert in ((True, None), (chains.made["client"][1], None), (None, UNKNOWN), (bytes(32), UNKNOWN)):
            asked = []
            assert alerts(chains.client(), chains.server(lambda name: asked.append(name) or found)) == (None, alert), found  # noqa: B023
            assert set(asked) == {b"lamp.test"}


def test_a_client_without_a_clock_refuses_what_had_expired_when_it_was_provisioned():
    chains = Chains()
    with Remembered():
        for now in (None, lambda: None):
            assert alerts(chains.client(now=now), chains.server()) == (None, None)
            assert alerts(chains.client(now=now), chains.server(shown="expired")) == (EXPIRED, None)


def test_a_stolen_certificate_proves_nothing():
    chains = Chains()
    with Remembered():
        chains.made["thief"] = chains.made["usage"][0], None, chains.made["client"][2]
        raises(UsageError, E_OPTION, chains.client, "node.test", "thief")
        thief = chains.client(shown="usage")
        thief._chain = chains.client()._chain
        assert alerts(thief, chains.server()) == (None, DECRYPT_ERROR)


def step(server, session, now=0):
    """Exchange what a client and a listener have to send."""
    for _ in range(6):
        for datagram in drain(session):
            server.receive(datagram, b"a", now)
        while server.receive(b"", b"a", now)[0]:
            pass
        sent = server.transmit()
        while sent:
            give(session, [bytes(sent[0])], now)
            sent = server.transmit()


def test_sessions_are_resumed_until_the_name_or_its_key_is_known_no_more():
    """A listener with a cookie, by ticket and by session id."""
    chains = Chains()
    key = chains.made["client"][1]
    with Remembered():
        for tickets in (False, True):
            random = SeededRandom(9)
            known = {b"lamp.test": key}
            lookup = chains.server(known.get)
            server = Listener(lookup, random, 0, lambda address: address, tickets=Tickets(random, TICKET_PERIOD_MS, 0))

            def connect(resume=None, now=0, tickets=tickets, server=server):
                client = Client(chains.client(), SeededRandom(2 if resume else 1), tickets=tickets, resume=resume)
                session = Session(client, RecordLayer(), now)
                step(server, session, now)
                return session

            first = connect()
            assert first.connected and server.sessions[0].session.identity == b"lamp.test"
            again = connect(first.resumption())
            assert again.connected and again.resumed and len(server.sessions) == 1
            known[b"lamp.test"] = bytes(32)  # a certificate for another key took its place
            server.timeout(CREDENTIAL_CHECK_MS)
            assert not server.sessions
            assert not connect(again.resumption(), CREDENTIAL_CHECK_MS).connected
