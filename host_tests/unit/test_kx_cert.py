# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Handshakes with X.509 certificates: both roles, each fault of a chain ends in the right alert, and what a find() can say."""

import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_cert import Certificate, read_chain, write_chain
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.dtls.listener import Listener
from dice.dtls.resumption import Tickets
from dice.errors import UsageError
from dice.limits import CREDENTIAL_CHECK_MS, TICKET_PERIOD_MS
from dice.wire import Reader
from dice.x509.chain import Trust
from host_tests.certificates import EXPIRED, NOT_YET, NOW, Authority, Key, off_the_curve
from host_tests.portable.dtls_pair import Client, RecordLayer, Session, drain, give, pair, settle

FAILURE, BAD, UNSUPPORTED, EXPIRED_ALERT, UNKNOWN, UNKNOWN_CA, DECODE_ERROR, DECRYPT_ERROR = 40, 42, 43, 45, 46, 48, 50, 51
ROOT = Authority("root")
MIDDLE = ROOT.authority("middle")
STRANGER = Authority("stranger")
SERVER = MIDDLE.issue("dns:node.test", usage="server")
CLIENT = MIDDLE.issue("dns:lamp.test", usage="client")
TRUST = Trust([ROOT.der])


def clock():
    return NOW


def client(issued=CLIENT, trust=TRUST, name="node.test", now=clock, chain=None, private=None):
    return Certificate(private or issued.key.private, chain or issued.chain, trust, name, clock=now)


def server(issued=SERVER, trust=TRUST, find=None, now=clock, chain=None, private=None):
    return CertificateServer(private or issued.key.private, chain or issued.chain, trust, find, clock=now)


def alerts(ours, theirs, **options):
    """Return (alert that the client sends, alert that the server sends), None for those of a side that sends none."""
    sessions = pair(psk=ours, lookup=theirs, **options)
    settle(*sessions)
    connected = [session.connected for session in sessions]
    found = tuple(session.error.alert if session.error else None for session in sessions)
    assert connected == [found == (None, None)] * 2 or not all(connected)
    return found


@pytest.mark.parametrize("mtu", [1232, 128])
def test_both_sides_prove_who_they_are(mtu):
    ours, theirs = pair(psk=client(), lookup=server(), mtu=mtu)
    settle(ours, theirs)
    assert ours.identity == b"node.test" and theirs.identity == b"lamp.test"
    ours.send(b"up", 0)
    assert give(theirs, drain(ours)) == [b"up"]


def test_a_client_proves_nothing_if_the_server_does_not_ask():
    ours, theirs = pair(psk=Certificate(None, (), TRUST, "node.test", clock=clock), lookup=server(trust=None))
    settle(ours, theirs)
    assert ours.connected and theirs.connected and theirs.identity == b""
    assert alerts(Certificate(None, (), TRUST, "node.test", clock=clock), server()) == (None, FAILURE)


def test_chains_with_and_without_the_anchor_and_longer_ones_are_accepted():
    deep = MIDDLE.authority("third").issue("dns:node.test", usage="server")
    for chain in (SERVER.chain, SERVER.chain + [ROOT.der]):
        assert alerts(client(), server(chain=chain)) == (None, None)
    assert len(deep.chain) == 3 and alerts(client(), server(deep)) == (None, None)


def test_the_name_of_a_server_is_that_of_connect_if_none_is_given():
    assert alerts(client(name=None), server(), client={"server_name": b"Node.test"}) == (None, None)
    assert alerts(client(name=None), server(), client={"server_name": b"other.test"}) == (UNKNOWN, None)
    assert alerts(client(), server(), client={"server_name": b"other.test"}) == (None, None)


def test_without_any_name_a_server_has_to_be_an_anchor_or_pinned():
    assert alerts(client(name=None), server()) == (UNKNOWN, None)
    assert alerts(client(name=None, trust=Trust([SERVER.der])), server()) == (None, None)
    assert alerts(client(name=None, trust=Trust([ROOT.der], [SERVER.key.identity])), server()) == (None, None)
    assert alerts(client(name=None, trust=Trust([ROOT.der], [CLIENT.key.identity])), server()) == (UNKNOWN, None)


P_384 = Key("p384", ec.SECP384R1())
# (what is wrong with a leaf, how it is issued, the alert)
FAULTS = (
    ("expired", lambda usage: MIDDLE.issue("dns:node.test", usage=usage, **EXPIRED), EXPIRED_ALERT),
    ("not yet valid", lambda usage: MIDDLE.issue("dns:node.test", usage=usage, **NOT_YET), EXPIRED_ALERT),
    ("signature", lambda usage: MIDDLE.issue("dns:node.test", usage=usage, broken=True), BAD),
    ("usage", lambda usage: MIDDLE.issue("dns:node.test", usage="client" if usage == "server" else "server"), UNSUPPORTED),
    ("another usage", lambda usage: MIDDLE.issue("dns:node.test", usage="code"), UNSUPPORTED),
    ("unknown critical", lambda usage: MIDDLE.issue("dns:node.test", usage=usage, unknown="critical"), UNSUPPORTED),
    ("another hash", lambda usage: MIDDLE.issue("dns:node.test", usage=usage, digest=hashes.SHA384()), UNSUPPORTED),
    ("another authority", lambda usage: STRANGER.issue("dns:node.test", usage=usage), UNKNOWN_CA),
    ("another authority of this name", lambda usage: _namesake().issue("dns:node.test", usage=usage), BAD),
    ("expired issuer", lambda usage: ROOT.authority("old", **EXPIRED).issue("dns:node.test", usage=usage), EXPIRED_ALERT),
)


def _namesake():
    """Return an authority with the name of ROOT and another key."""
    namesake = Authority("root")
    namesake.key = Key("namesake")
    return namesake


@pytest.mark.parametrize(("issue", "alert"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_each_fault_of_a_chain_gives_the_right_alert(issue, alert):
    assert alerts(client(), server(issue("server"))) == (alert, None)
    assert alerts(client(issue("client")), server()) == (None, alert)


@pytest.mark.parametrize(("fault", "alert"), [("compressed", UNSUPPORTED), ("off", BAD), ("p384", UNSUPPORTED)])
def test_each_wrong_key_in_a_certificate_gives_the_right_alert(fault, alert):
    for usage in ("server", "client"):
        key = Key("node")
        point = {"compressed": key.compressed, "off": off_the_curve(key.point), "p384": None}[fault]
        options = {"key": P_384} if fault == "p384" else {"key": key, "point": point}
        issued = MIDDLE.issue("dns:node.test", usage=usage, **options)
        maker, right = (server, client()) if usage == "server" else (client, server())
        shown = maker(SERVER if usage == "server" else CLIENT)
        shown._chain = write_chain(issued.chain, b"")
        found = alerts(right, shown) if usage == "server" else alerts(shown, right)
        assert found == ((alert, None) if usage == "server" else (None, alert))


def test_lists_that_are_malformed_give_the_right_alert():
    for body, alert in (
        (b"\0\0\0", UNKNOWN_CA),
        (b"\0\0", DECODE_ERROR),
        (b"\0\0\3\0\0\0", DECODE_ERROR),  # one of no bytes
        (b"\0\0\4\0\0\2\0", DECODE_ERROR),
        (b"\0\0\4\0\0\1\0", DECODE_ERROR),
        (write_chain(SERVER.chain, b"") + b"\0", DECODE_ERROR),
        (write_chain(SERVER.chain * 3, b""), UNKNOWN_CA),
    ):
        shown = server()
        shown._chain = body
        assert alerts(client(), shown)[0] == alert, body[:8]
        shown = client()
        shown._chain = body
        assert alerts(shown, server())[1] == (alert if body != b"\0\0\0" else FAILURE), body[:8]


def test_a_stolen_certificate_is_of_no_use():
    """A thief shows the chain of another, and does not have its private key."""
    thief = Key("thief")
    shown = server()
    shown._private = thief.private
    assert alerts(client(), shown) == (DECRYPT_ERROR, None)
    shown = client()
    shown._private = thief.private
    assert alerts(shown, server()) == (None, DECRYPT_ERROR)


def test_a_device_without_a_clock_refuses_what_had_expired_when_it_was_provisioned():
    old = MIDDLE.issue("dns:node.test", usage="server", **EXPIRED)
    for now in (None, lambda: None):
        assert alerts(client(now=now), server()) == (None, None)
        assert alerts(client(now=now), server(old)) == (EXPIRED_ALERT, None)
        assert alerts(client(), server(now=now)) == (None, None)


def test_what_find_returns_decides():
    fingerprint = CLIENT.key.identity
    asked = []
    for found, alert in (
        (True, None),
        (b"", UNKNOWN),
        (False, UNKNOWN),
        (None, UNKNOWN),
        (fingerprint, None),
        (bytearray(fingerprint), None),
        (SERVER.key.identity, UNKNOWN),  # a renewed certificate for another key: the old one is refused
        (b"\1" * 32, UNKNOWN),
        ("text", None),
    ):
        assert alerts(client(), server(find=lambda name, found=found: asked.append(name) or found)) == (None, alert), found
    assert set(asked) == {b"lamp.test"}
    broken = server(find=lambda name: 1 // 0)
    assert alerts(client(), broken) == (None, UNKNOWN) and isinstance(broken.error, ZeroDivisionError) and broken.errors == 1


def broken_clock():
    return 1 // 0


@pytest.mark.parametrize(
    "clock", [broken_clock, lambda: "noon", lambda: float("nan"), lambda: b"", 5], ids=["raises", "text", "nan", "bytes", "number"]
)
def test_a_clock_that_fails_ends_the_handshake_at_once(clock):
    """It is code of the application, a boundary as find() is: nobody is believed, and nothing raises."""
    ours = client(now=clock)
    assert alerts(ours, server()) == (80, None)
    assert ours.errors == 1 and isinstance(ours.error, Exception)
    theirs = server(now=clock)
    assert alerts(client(), theirs) == (None, 80)
    assert theirs.errors == 1 and isinstance(theirs.error, Exception)
    assert alerts(client(now=lambda: float(NOW)), server(now=lambda: NOW + 0.5)) == (None, None), "time.time() is a float"


def serve(credentials):
    return Listener(credentials, os.urandom, 0, lambda address: address, tickets=Tickets(os.urandom, TICKET_PERIOD_MS, 0))


def step(listener, session, now=0):
    for _ in range(6):
        for datagram in drain(session):
            listener.receive(datagram, b"a", now)
        while listener.receive(b"", b"a", now)[0]:
            pass
        sent = listener.transmit()
        while sent:
            give(session, [bytes(sent[0])], now)
            sent = listener.transmit()


@pytest.mark.parametrize("tickets", [False, True])
def test_a_replaced_or_expelled_device_resumes_nothing_and_its_session_ends(tickets):
    for after in (None, SERVER.key.identity):
        allowed = {b"lamp.test": CLIENT.key.identity}
        listener = serve(server(find=allowed.get))

        def connect(resume=None, listener=listener):
            session = Session(Client(client(), os.urandom, tickets=tickets, resume=resume), RecordLayer(), 0)
            step(listener, session)
            return session

        first = connect()
        resume = first.resumption()
        assert connect(resume).resumed and len(listener.sessions) == 1
        allowed[b"lamp.test"] = after
        listener.timeout(CREDENTIAL_CHECK_MS)
        assert not listener.sessions
        again = connect(resume)
        assert not again.resumed and again.error is None and not again.connected  # its server's alert waits to be believed


def test_clients_with_raw_public_keys_and_with_certificates_are_served_side_by_side():
    raw = RawPublicKeyServer(SERVER.key.private, lambda identity: identity == CLIENT.key.identity)
    both = AnyOf(raw, server(find=lambda name: name == b"lamp.test"))
    for ours, identity in ((client(), b"lamp.test"), (RawPublicKey(CLIENT.key.private, [raw.point]), CLIENT.key.identity)):
        sessions = pair(psk=ours, lookup=both)
        settle(*sessions)
        assert sessions[0].connected and sessions[1].identity == identity


def test_options_that_cannot_work_are_refused():
    for private, chain in ((CLIENT.key.private, ()), (CLIENT.key.private, SERVER.chain), (bytes(32), CLIENT.chain)):
        with pytest.raises(UsageError):
            Certificate(private, chain, TRUST, clock=None)
        with pytest.raises(UsageError):
            CertificateServer(private, chain, clock=None)
    for name in (b"node.test", b"", bytes(32)):
        with pytest.raises(UsageError):
            client(name=name)
    with pytest.raises(UsageError):
        CertificateServer(SERVER.key.private, SERVER.chain, None, lambda name: True, clock=None)


def test_a_chain_is_read_as_it_is_written():
    assert read_chain(Reader(write_chain(SERVER.chain, SERVER.key.point))) == SERVER.chain
