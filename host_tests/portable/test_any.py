# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server with several key exchanges chooses by suite and hello, and confuses no identities of different kinds."""

from dtls_pair import IDENTITY, KEY, drain, give, settle
from lossy_network import SeededRandom
from remembered_curve import Remembered
from test_listener import exchange, transmitted

from dice.dtls import ecdhe
from dice.dtls.client import Client
from dice.dtls.extensions import CLIENT_HELLO, SERVER_HELLO
from dice.dtls.handshake import KeyExchange
from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_ecdhe_psk import EcdhePsk
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, PeerError
from dice.limits import CREDENTIAL_CHECK_MS

RANDOM = SeededRandom(11)
SERVER_TYPE = 20  # an extension with the kind of what a Named server proves


class Named(KeyExchange):
    """A client that proves a name, and says in its hello how: something like certificates."""

    suites = EcdhePsk.suites
    digests = 3
    messages_max = 5

    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.extensions = ((SERVER_TYPE, lambda handshake: kind, lambda handshake, data: None, CLIENT_HELLO),)

    def flight(self, handshake):
        handshake.premaster = b"premaster"
        return ((11, self.name), (16, b""))

    def read(self, handshake, kind, body):
        if kind != 11 or handshake.exchange:
            return None
        handshake.exchange = body
        return True

    def prove(self, handshake):
        return ((15, self.kind),)


class NamedServer(KeyExchange):
    suites = EcdhePsk.suites
    digests = 3
    messages_max = 5
    bytes_max = 2048

    def __init__(self, kind, names):
        self.kind, self.names = kind, names
        self.extensions = ((SERVER_TYPE, self.write, self.check, SERVER_HELLO),)

    def write(self, handshake):
        return None if handshake.resumed else handshake.credentials.kind

    def check(self, handshake, data):
        if data != self.kind:
            raise PeerError(43, 56)

    def serves(self, handshake):
        return handshake.theirs.get(SERVER_TYPE) == self.kind

    def flight(self, handshake):
        if not self.serves(handshake):
            raise PeerError(43, 56)
        return ((11, b"server"),)

    def read(self, handshake, kind, body):
        taken = handshake.exchange = handshake.exchange or []
        if kind != (11, 16, 15)[len(taken)]:
            return None
        taken.append(kind)
        if kind == 11:
            handshake.identity, handshake.credential = body, handshake.current(body)
        elif kind == 16:
            handshake.premaster = b"premaster"
        return kind == 15

    def current(self, identity):
        return self.names.get(identity)


def exchanges():
    return PskLookup({IDENTITY: KEY}.get), EcdhePskLookup({IDENTITY: KEY}.get)


def connect(credentials, *offered):
    """Return (client, server session) after a handshake."""
    ours = Session(Client(credentials, RANDOM), RecordLayer(), 0)
    theirs = Session(Server(AnyOf(*offered), RANDOM), RecordLayer(), 0)
    settle(ours, theirs)
    return ours, theirs


def test_the_first_exchange_is_chosen_that_the_client_can_do():
    rpk, x509 = NamedServer(b"rpk", {b"n": b"1"}), NamedServer(b"x509", {b"n": b"2"})
    with Remembered():
        for credentials, suite, identity in (
            (Psk(IDENTITY, KEY), Psk.suites[0], IDENTITY),
            (EcdhePsk(IDENTITY, KEY), EcdhePsk.suites[0], IDENTITY),
        ):
            for offered in (exchanges(), (exchanges()[1], exchanges()[0], rpk, x509)):
                ours, theirs = connect(credentials, *offered)
                assert ours.connected and theirs.connected and (theirs.suite, theirs.identity) == (suite, identity)
    for kind, other in ((rpk, x509), (x509, rpk)):
        for offered in ((kind, other), (other, kind), (exchanges()[0], other, kind)):
            ours, theirs = connect(Named(b"n", kind.kind), *offered)
            assert theirs.identity is None, "an identity of two kinds is refused"
            names, other.names = other.names, {}
            ours, theirs = connect(Named(b"n", kind.kind), *offered)
            other.names = names
            assert theirs.connected and theirs.identity == b"n"


def test_the_server_prefers_by_its_own_order():
    class Fallback(EcdhePsk):
        suites = Psk.suites + EcdhePsk.suites

    with Remembered():
        psk, ecdhe_psk = exchanges()
        assert connect(EcdhePsk(IDENTITY, KEY), psk, ecdhe_psk)[1].suite == EcdhePsk.suites[0]
        theirs = connect(Fallback(IDENTITY, KEY), ecdhe_psk, psk)[1]
        assert theirs.connected and theirs.suite == EcdhePsk.suites[0]


def test_a_client_without_the_curve_gets_another_exchange():
    """The suite depends on the extensions, not on the order of the suites alone."""

    class Other(Psk):
        suites = EcdhePsk.suites + Psk.suites
        extensions = ((10, lambda handshake: b"\0\2\0\x18", lambda handshake, data: None, CLIENT_HELLO),)

    psk, ecdhe_psk = exchanges()
    theirs = connect(Other(IDENTITY, KEY), ecdhe_psk, psk)[1]
    assert theirs.connected and theirs.suite == Psk.suites[0]
    theirs = connect(Other(IDENTITY, KEY), ecdhe_psk)[1]
    assert theirs.error.alert == 40, "no exchange serves: the first says why"


def test_a_hello_with_none_of_the_extensions_is_served():
    class Bare(EcdhePsk):
        extensions = ()

    class Plain(Client):
        """Offers neither extensions nor the SCSV."""

        def _put(self, kind, body):
            if kind == 1:
                at = 34 + 1 + body[34]
                at += 1 + body[at]
                size = int.from_bytes(body[at : at + 2], "big")
                suites = bytes(body[at + 2 : at + size])  # without the SCSV, which is the last one
                body = bytes(body[:at]) + len(suites).to_bytes(2, "big") + suites + b"\1\0"
            super()._put(kind, body)

    with Remembered():
        ours = Session(Plain(Bare(IDENTITY, KEY), RANDOM), RecordLayer(), 0)
        theirs = Session(Server(AnyOf(*exchanges()), RANDOM), RecordLayer(), 0)
        settle(ours, theirs)
        assert theirs.connected and theirs.suite == EcdhePsk.suites[0]


def listener(*offered):
    return Listener(AnyOf(*offered), RANDOM, 0, lambda address: address, tickets=Tickets(RANDOM, 1 << 28, 0))


def test_sessions_are_resumed_as_what_they_were():
    rpk = NamedServer(b"rpk", {b"n": b"1"})
    psk, ecdhe_psk = exchanges()
    with Remembered():
        for credentials in (Psk(IDENTITY, KEY), EcdhePsk(IDENTITY, KEY), Named(b"n", b"rpk")):
            for tickets in (False, True):
                server = listener(rpk, ecdhe_psk, psk)
                session = Session(Client(credentials, RANDOM, tickets=tickets), RecordLayer(), 0)
                assert exchange(session, server, b"a") == [CONNECTED]
                again = Session(Client(credentials, RANDOM, resume=session.resumption()), RecordLayer(), 0)
                assert exchange(again, server, b"b") == [CONNECTED]
                assert again.resumed and again.suite == session.suite
                assert [peer.session.identity for peer in server.sessions] == [session_identity(credentials)] * 2


def session_identity(credentials):
    return b"n" if isinstance(credentials, Named) else IDENTITY


def test_a_credential_of_another_kind_ends_and_resumes_nothing():
    """The identity moves from one kind to another, whose credential even is the same bytes."""
    keys, names = {}, {b"n": KEY}
    server = listener(PskLookup(keys.get), NamedServer(b"rpk", names))
    session = Session(Client(Named(b"n", b"rpk"), RANDOM), RecordLayer(), 0)
    assert exchange(session, server, b"a") == [CONNECTED]
    resumption = session.resumption()
    keys[b"n"] = names.pop(b"n")
    again = Session(Client(Named(b"n", b"rpk"), RANDOM, resume=resumption), RecordLayer(), 0)
    exchange(again, server, b"b")
    assert not again.connected and not again.resumed
    server.timeout(CREDENTIAL_CHECK_MS)
    assert not server.sessions, "the session with the former credential has ended"
    assert transmitted(server), "close_notify"
    names[b"n"] = KEY
    for credentials in (Psk(b"n", KEY), Named(b"n", b"rpk")):
        session = Session(Client(credentials, RANDOM), RecordLayer(), 0)
        assert CLOSED in exchange(session, server, b"c"), "two kinds know the identity"
        assert not session.connected and not server.sessions


def test_a_failing_look_up_refuses_and_is_counted():
    def find(identity):
        raise OSError

    psk = PskLookup(find)
    server = listener(psk, EcdhePskLookup({IDENTITY: KEY}.get))
    session = Session(Client(Psk(IDENTITY, KEY), RANDOM), RecordLayer(), 0)
    exchange(session, server, b"a")
    assert not session.connected and not server.sessions and psk.errors and isinstance(psk.error, OSError)


def test_bounds_are_the_largest_and_can_be_set():
    named = NamedServer(b"rpk", {})
    offered = AnyOf(*exchanges() + (named,))
    assert (offered.digests, offered.bytes_max, offered.messages_max) == (3, 2048, 5)
    assert offered.suites == Psk.suites + EcdhePsk.suites
    assert AnyOf(exchanges()[0]).digests == 2
    assert ecdhe.EXTENSIONS[0][0] in [row[0] for row in offered.extensions]


def test_a_repeated_fragment_of_a_long_hello_ends_nothing():
    """The bound is that of the AnyOf, also once an exchange with a smaller one is chosen."""
    offered = AnyOf(*exchanges())
    offered.bytes_max = 4096
    ours = Session(Client(Psk(IDENTITY, KEY), RANDOM, alpn=[b"a" * 255] * 6, fragment_code=None), RecordLayer(), 0, mtu=256)
    theirs = Session(Server(offered, RANDOM), RecordLayer(), 0)
    hello = drain(ours)
    give(theirs, hello)
    give(theirs, hello[:3])
    assert theirs.error is None
    give(ours, drain(theirs))
    settle(ours, theirs)
    assert theirs.connected and len(hello) > 6


def test_a_session_with_any_of_them_carries_data():
    with Remembered():
        ours, theirs = connect(EcdhePsk(IDENTITY, KEY), *exchanges())
    ours.send(b"up", 0)
    assert give(theirs, drain(ours)) == [b"up"]
