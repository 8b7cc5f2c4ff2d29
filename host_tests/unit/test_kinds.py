# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""All kinds of credentials at one server: each is chosen, resumed, moved by its connection id and saved, as a PSK is."""

import asyncio
import os
import subprocess
import sys

import pytest

import dice
from dice.dtls.client import Client
from dice.dtls.kx_rpk import write_key
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CONNECTED, DATA
from dice.limits import CREDENTIAL_CHECK_MS
from dice.x509.chain import Trust
from dicectl import resources
from dicectl.on_device.lossy_network import Network
from host_tests.certificates import NOW, Authority, Key
from host_tests.portable.dtls_pair import IDENTITY, KEY, drain, give
from host_tests.portable.support import RamStore
from host_tests.ports import free_port
from host_tests.seeds import seeds

SECRET = b"of this device only, of any size"
ROOT = Authority("root")
ABOVE = ROOT.authority("above").authority("middle")
SERVER, CLIENT = ABOVE.issue("dns:node.test", usage="server"), ABOVE.issue("dns:lamp.test", usage="client")
TRUST = Trust([ROOT.der])
RAW_SERVER, RAW_CLIENT = Key("server"), Key("client")


def clock():
    return NOW


CLIENTS = {
    "psk": dice.Psk(IDENTITY, KEY),
    "ecdhe_psk": dice.EcdhePsk(IDENTITY, KEY),
    "rpk": dice.RawPublicKey(RAW_CLIENT.private, [RAW_SERVER.point]),
    "certificate": dice.Certificate(CLIENT.key.private, CLIENT.chain, TRUST, "node.test", clock=clock),
}
SERVERS = {"psk": None, "ecdhe_psk": None, "rpk": RAW_SERVER.identity, "certificate": b"node.test"}  # as clients see them
NAMES = {"psk": IDENTITY, "ecdhe_psk": IDENTITY, "rpk": RAW_CLIENT.identity, "certificate": b"lamp.test"}
KINDS = list(CLIENTS)
each_kind = pytest.mark.parametrize("kind", KINDS)


class Site:
    """A server for all kinds. `known` has the identities that may connect."""

    def __init__(self, order=KINDS):
        self.known = set(NAMES.values())
        self.now = 0
        find = self.find
        exchanges = {
            "psk": dice.PskLookup(self.find_key),
            "ecdhe_psk": dice.EcdhePskLookup(self.find_key),
            "rpk": dice.CachedServer(dice.RawPublicKeyServer(RAW_SERVER.private, lambda name: name != IDENTITY and find(name, 32))),
            "certificate": dice.CachedServer(
                dice.CertificateServer(SERVER.key.private, SERVER.chain, TRUST, lambda name: find(name, 9), clock=clock)
            ),
        }
        self.credentials = dice.AnyOf(*[exchanges[kind] for kind in order])
        tickets = Tickets(os.urandom, 1 << 28, 0)
        self.listener = Listener(self.credentials, os.urandom, 0, lambda address: address, tickets=tickets, cid_bytes=2)

    def find(self, name, size):
        return len(name) == size and name in self.known

    def find_key(self, identity):
        return KEY if identity == IDENTITY and identity in self.known else None

    def exchange(self, session, address):
        """Exchange datagrams; return the events of the server."""
        events = []
        for _ in range(6):
            for datagram in drain(session):
                event, client = self.listener.receive(datagram, address, self.now)
                while event:
                    events.append(client.session.data if event == DATA else event)
                    event, client = self.listener.receive(b"", address, self.now)
            sent = self.listener.transmit()
            while sent:
                give(session, [bytes(sent[0])])
                sent = self.listener.transmit()
        return events

    def connect(self, kind, address, **options):
        session = Session(Client(CLIENTS[kind], os.urandom, **options), RecordLayer(), 0)
        events = self.exchange(session, address)
        return session, events


@pytest.mark.parametrize("order", [KINDS, KINDS[::-1]], ids=["psk first", "certificates first"])
def test_each_kind_connects_to_one_server(order):
    site = Site(order)
    for kind in KINDS:
        session, events = site.connect(kind, kind.encode())
        assert session.connected and events == [CONNECTED] and session.identity == SERVERS[kind]
        assert site.listener.sessions[-1].session.identity == NAMES[kind]
        site.listener.check_credentials()
    assert len(site.listener.sessions) == 4


@each_kind
@pytest.mark.parametrize("tickets", [False, True], ids=["id", "ticket"])
def test_each_kind_is_resumed_without_the_curve(kind, tickets, monkeypatch):
    site = Site()
    session, _ = site.connect(kind, b"a", tickets=tickets)
    with monkeypatch.context() as patch:
        patch.setattr("dice.crypto.curve.generate", None)
        again, events = site.connect(kind, b"b", resume=session.resumption())
    assert again.resumed and events == [CONNECTED] and again.suite == session.suite
    assert site.listener.sessions[-1].session.identity == NAMES[kind] and again.identity == SERVERS[kind]
    once_more, _ = site.connect(kind, b"d", resume=again.resumption())
    assert once_more.resumed and once_more.identity == SERVERS[kind]
    site.known.clear()
    third, events = site.connect(kind, b"c", resume=again.resumption())
    assert not third.resumed and not third.connected and CONNECTED not in events


@each_kind
def test_a_removed_identity_ends_its_session_alone(kind):
    site = Site()
    sessions = {other: site.connect(other, other.encode())[0] for other in KINDS}
    site.known.discard(NAMES[kind])
    site.listener.timeout(CREDENTIAL_CHECK_MS)
    left = {client.address.decode() for client in site.listener.sessions}
    assert left == {other for other in KINDS if NAMES[other] != NAMES[kind]} and sessions


@each_kind
def test_each_kind_moves_and_sleeps(kind):
    """A connection id is used in both directions; the address changes while the client sleeps."""
    site = Site()
    session, _ = site.connect(kind, b"before", cid=b"\7\7")
    assert len(session.layer.peer_cid) == 2
    store = RamStore()
    for name in (b"after", b"later"):
        session = dice.restore(dice.save(session, store, SECRET, os.urandom), store, SECRET, 0)
        session.send(b"woken", 0)
        assert site.exchange(session, name) == [b"woken"]
        (client,) = site.listener.sessions
        assert client.address == name
        client.session.send(b"answer", 0)
        datagram, _ = site.listener.transmit()
        assert give(session, [bytes(datagram)]) == [b"answer"]
    resumption = session.resumption()
    again, _ = site.connect(kind, b"resumed", resume=resumption)
    assert again.resumed and again.identity == SERVERS[kind]


def test_a_saved_session_needs_the_module_of_its_suite():
    """A program that wakes makes its credentials before it restores; else it connects anew."""
    site, store = Site(), RamStore()
    session, _ = site.connect("ecdhe_psk", b"a")
    saved = dice.save(session, store, SECRET, os.urandom)
    lines = [
        "import dice",
        "from host_tests.portable.support import RamStore",
        f"store = RamStore(); store.values = {store.values!r}",
        "try:",
        f"    dice.restore({bytes(saved)!r}, store, {SECRET!r}, 0)",
        "except dice.StoreError as error:",
        "    print(error)",
        "dice.EcdhePsk",
        f"print(dice.restore({bytes(saved)!r}, store, {SECRET!r}, 0).connected)",
    ]
    path = os.pathsep.join(map(str, [resources.LIB, resources.LIB.parent, resources.LIB.parent / "host_tests" / "portable"]))
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.stdout.split() == ["E35", "True"], done.stderr


@each_kind
@pytest.mark.parametrize("loss", [0, 10, 20])
def test_each_kind_connects_over_a_bad_link(kind, loss):
    """Chains of three in both directions among them."""
    for seed in seeds(3):
        for mtu in (128, 256, 1232):
            site = Site()
            network = Network(seed, loss, True, True, mtu, credentials=(CLIENTS[kind], site.credentials)).run()
            assert network.connected == [True, True], (seed, mtu, network.ms)


def sizes(credentials, site):
    """Return the bytes that both sides send in a handshake."""
    network = Network(1, 0, credentials=(credentials, site.credentials)).run()
    assert network.connected == [True, True]
    return network.bytes, network.client


def test_a_cached_certificate_shrinks_the_handshake():
    site = Site()
    credentials = dice.Cached(CLIENTS["certificate"])
    before, session = sizes(credentials, site)
    assert credentials.keep(session)
    after, session = sizes(credentials, site)
    assert session.identity == b"node.test" and not credentials.keep(session)
    saved = len(credentials.known) - 33 - 2 * 40 - 7
    assert 0 < saved <= before - after + 80, (before, after)  # signatures differ by some bytes, datagrams by their headers
    provisioned = dice.Cached(CLIENTS["rpk"], write_key(RAW_SERVER.point))
    assert sizes(provisioned, site)[1].identity == RAW_SERVER.identity


def test_a_cached_certificate_that_is_not_trusted_any_more_is_refused():
    site = Site()
    credentials = dice.Cached(CLIENTS["certificate"])
    session = Session(Client(credentials, os.urandom), RecordLayer(), 0)
    site.exchange(session, b"a")
    assert credentials.keep(session)
    late = dice.Certificate(CLIENT.key.private, CLIENT.chain, TRUST, "node.test", clock=lambda: 1 << 32)
    session = Session(Client(dice.Cached(late, credentials.known), os.urandom), RecordLayer(), 0)
    site.exchange(session, b"b")
    assert session.error.alert == 45, "expired meanwhile"


@each_kind
def test_a_program_connects_by_the_names_of_the_package(kind):
    """By real UDP; see docs/api.md."""

    async def main():
        async def handle(connection):
            async for message in connection:
                await connection.send(message[::-1])

        site = Site()
        port = free_port()
        service = await dice.serve(port, site.credentials, handle, timer_ms=1000)
        try:
            connection = await dice.connect(("127.0.0.1", port), CLIENTS[kind], timer_ms=1000)
            await connection.send(b"on")
            assert await connection.receive() == b"no"
            connection.close()
        finally:
            service.close()

    asyncio.run(main())


def test_clients_that_prove_nothing_are_served_beside_others():
    """Their identity is b"" in both kinds, and they are resumed as well."""
    site = Site()
    site.credentials = dice.AnyOf(
        dice.PskLookup(site.find_key),
        dice.RawPublicKeyServer(RAW_SERVER.private),
        dice.CertificateServer(SERVER.key.private, SERVER.chain, clock=clock),
    )
    tickets = Tickets(os.urandom, 1 << 28, 0)
    site.listener = Listener(site.credentials, os.urandom, 0, lambda address: address, tickets=tickets)
    raw = dice.RawPublicKey(None, [RAW_SERVER.point])
    for credentials in (raw, dice.Certificate(None, (), TRUST, "node.test", clock=clock)):
        session = Session(Client(credentials, os.urandom), RecordLayer(), 0)
        assert site.exchange(session, b"a") == [CONNECTED]
        again = Session(Client(credentials, os.urandom, resume=session.resumption()), RecordLayer(), 0)
        assert site.exchange(again, b"b") == [CONNECTED] and again.resumed
        assert {client.session.identity for client in site.listener.sessions} == {b""}
        site.listener.check_credentials()
        assert len(site.listener.sessions) == 2
    assert dice.AnyOf(dice.PskLookup({b"": KEY}.get), dice.RawPublicKeyServer(RAW_SERVER.private)).current(b"") is None
