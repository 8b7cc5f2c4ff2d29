# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The listener of a computer: it passes the tests of the board's, decides the same, and touches no session but those concerned."""

import importlib
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.dtls.session_index import IndexedListener
from dice.errors import CLOSED, DATA, NONE
from dice.limits import CREDENTIAL_CHECK_MS
from dicectl import resources
from host_tests import seeds

PORTABLE = Path(__file__).resolve().parents[1] / "portable"
MODULES = ("test_listener", "test_outsiders", "test_revocation", "test_resumption", "test_repetitions", "test_cookies")
KEY = bytes(16)


def portable_tests():
    """Yield the tests of the board's listener: module and name."""
    for module in MODULES:
        for line in (PORTABLE / f"{module}.py").read_text().splitlines():
            if line.startswith("def test_"):
                yield pytest.param(module, line[4 : line.index("(")], id=f"{module}-{line[9 : line.index('(')]}")


@pytest.mark.parametrize("module, name", list(portable_tests()))
def test_the_tests_of_the_listener_pass_with_the_index(module, name, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(PORTABLE), str(resources.ON_DEVICE)])
    for other in (module, "test_listener", "lossy_network"):
        monkeypatch.setattr(importlib.import_module(other), "Listener", IndexedListener, raising=False)
    getattr(importlib.import_module(module), name)()


class Network:
    """One listener and its clients, in memory."""

    def __init__(self, kind, seed=0, **options):
        self.keys = {}
        self.chance = random.Random(seed)
        self.server = kind(PskLookup(self.keys.get), self.chance.randbytes, 0, lambda address: address, cid_bytes=4, **options)
        self.now = 0

    def client(self, identity, cid=b""):
        self.keys.setdefault(identity, KEY)
        return Session(Client(Psk(identity, KEY), self.chance.randbytes, cid), RecordLayer(), self.now)

    def receive(self, datagram, address):
        """Let the server receive; return its events, with the identity of each."""
        events = []
        event, client = self.server.receive(datagram, address, self.now)
        while event != NONE:
            events.append((event, client.session.identity, client.address))
            event, client = self.server.receive(b"", address, self.now) if event != CLOSED else (NONE, None)
        return events

    def sent(self):
        """Return all that the server has to send, in the order of addresses."""
        found = []
        out = self.server.transmit()
        while out:
            found.append((out[1], bytes(out[0])))
            out = self.server.transmit()
        return found

    def step(self, session, address, now=None):
        """Exchange what the client and the server have to send; return the events of the server."""
        events = []
        datagram = session.transmit()
        while datagram:
            events += self.receive(datagram, address)
            datagram = session.transmit()
        for to, datagram in self.sent():
            if to == address:
                session.receive(datagram, self.now)
                while session.receive(b"", self.now):
                    pass
        return events

    def connect(self, identity, address, cid=b""):
        session = self.client(identity, cid)
        events = []
        for _ in range(4):
            events += self.step(session, address)
        return session, events


def history(kind, seed):
    """Return everything that a listener does in a random sequence of calls."""
    chance = random.Random(seed)
    network = Network(kind, seed, sessions_max=6, half_open_max=3)
    sessions, told = [], []
    for _ in range(120):
        what = chance.randrange(12)
        address = b"%d" % chance.randrange(8)
        identity = b"i%d" % chance.randrange(5)
        if what < 3:
            session, events = network.connect(identity, address, chance.choice([b"", None]))
            sessions.append((session, address))
            told.append(events)
        elif what == 3:  # a handshake that stops
            session = network.client(identity)
            for _ in range(chance.randrange(1, 3)):
                told.append(network.step(session, address))
        elif what < 8 and sessions:
            session, home = chance.choice(sessions)
            if session.connected:
                session.send(b"x", network.now)
            told.append(network.step(session, address if chance.random() < 0.3 else home))
        elif what == 8 and sessions:
            session, home = sessions.pop(chance.randrange(len(sessions)))
            session.close()
            told.append(network.step(session, home))
        elif what == 9:
            network.keys.pop(identity, None)
            network.server.check_credentials()
        elif what == 10:
            network.now += chance.choice([10, 1000, 20_000, 100_000])
        server = network.server
        due = server.deadline()
        told.append(sorted(client.session.identity or b"" for client in server.timeout(network.now)))
        told.append(sorted(network.sent()))
        told.append(
            (due, [(c.address, c.session.identity, c.moved) for c in server.sessions], [c.address for c in server.half_open])
        )
    return told


def test_it_decides_as_the_board_does(monkeypatch):
    """The order in which sessions are asked for datagrams is free, and so are the times at which keys are compared."""
    for module in ("listener", "session_index"):
        monkeypatch.setattr(f"dice.dtls.{module}.CREDENTIAL_CHECK_MS", 1 << 28)
    for seed in seeds.seeds(15):
        one, other = history(Listener, seed), history(IndexedListener, seed)
        for number, (ours, theirs) in enumerate(zip(one, other)):
            assert ours == theirs, f"seed {seed}, entry {number}"


def calls(function):
    """Return how many functions are called by function(), those written in C as well."""
    count = Counter()
    sys.setprofile(lambda frame, event, arg: count.update([event]))
    try:
        function()
    finally:
        sys.setprofile(None)
    return count["call"] + count["c_call"]


def costs(count):
    """Return {what: number of calls} of a listener with `count` sessions, all there is room for."""
    network = Network(IndexedListener, sessions_max=count, half_open_max=64)
    sessions = [network.connect(b"i%d" % number, b"a%d" % number, None if number % 2 else b"")[0] for number in range(count)]
    for session in sessions:
        session.send(b"x", 0)
    assert all(network.step(session, b"a%d" % i)[0][0] == DATA for i, session in enumerate(sessions))

    network.server.deadline()  # drops at once what many handshakes have left in the heap

    def record(number):
        sessions[number].send(b"on", 0)
        network.receive(sessions[number].transmit(), b"a%d" % number)
        network.server.transmit()
        network.server.timeout(0)
        network.server.deadline()

    found = {"record": calls(lambda: record(2)), "record with a connection id": calls(lambda: record(3))}
    for number in (0, 1):  # these two replace others: the places are taken
        found[f"handshake {number}"] = calls(lambda: network.connect(b"new", b"n%d" % number))  # noqa: B023
    found["replacement"] = calls(lambda: network.connect(b"i3", b"a3"))
    assert len(network.server.sessions) == count
    network.now = CREDENTIAL_CHECK_MS // 2
    found["idle"] = calls(lambda: network.server.timeout(network.now))
    return found


def test_costs_do_not_grow_with_the_number_of_sessions():
    """In function calls, which depend on no other program. Today's costs with few sessions are bounded too."""
    few, many = costs(10), costs(2000)
    for what, count in few.items():
        assert many[what] <= 1.15 * count + 5, (what, few, many)


def test_all_credentials_are_compared_once_a_minute_but_not_all_at_once():
    network = Network(IndexedListener, sessions_max=100)
    asked = Counter()
    find = network.keys.get
    network.server._credentials._find = lambda identity: asked.update([identity]) or find(identity)
    for number in range(30):
        network.now = number * 2000
        network.connect(b"i%d" % number, b"a%d" % number)
    asked.clear()
    most = 0
    while network.now < 3 * CREDENTIAL_CHECK_MS:
        before = sum(asked.values())
        network.now = network.server.deadline()
        network.server.timeout(network.now)
        most = max(most, sum(asked.values()) - before)
    assert most <= 2 and min(asked.values()) >= 2 and len(asked) == 30
    del network.keys[b"i7"]
    network.server.check_credentials(b"i6")
    assert len(network.server.sessions) == 30
    network.server.check_credentials(b"i7")
    assert [client.session.identity for client in network.server.timeout(network.now)] == [b"i7"]


def test_the_heap_does_not_keep_what_is_no_deadline_any_more():
    network = Network(IndexedListener)
    network.connect(b"i", b"a")
    for now in range(1, 20_000):
        network.now = now
        network.server.sessions[0].session._wait_end = now + 500_000
        network.server._touched[network.server.sessions[0].session] = True
        network.server.deadline()
    assert len(network.server._heap) < 5000
