# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""An attacker without keys against a listener, its clients, the CoAP above them and a group: no established state changes.

It reads all datagrams, holds them back, and sends from any address: copies, mutations, splices, truncations, inventions, alerts,
hellos with overheard cookies. Meanwhile clients connect, resume, move, talk and fail with wrong keys. After each of its datagrams
all that is authenticated is what it was: sessions, identities, addresses, windows, counts of sealed records, CoAP. At the end both
sides of each session talk, and a new client gets in.
"""

import random

from dice.coap.codes import CONTENT, GET
from dice.coap.exchange import Endpoint
from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, DATA, NONE
from dice.group.member import Member
from dice.limits import HALF_OPEN_SAFE_MS
from host_tests.portable.support import RamStore, make_gsa
from host_tests.seeds import seeds

KEYS = {b"device %d" % number: bytes((number,)) * 16 for number in range(6)}
VOLATILE = {"dropped", "newest", "forged", "data", "sender", "_rest"}  # of what was received last, and counts of what was dropped
STEPS = 120


def state(thing, seen=None):
    """Return all that can be reached from an object, as tuples that can be compared."""
    seen = {} if seen is None else seen
    if isinstance(thing, bytes | bytearray | memoryview):
        return bytes(thing)
    if thing is None or isinstance(thing, int | str | BaseException):
        return thing
    if id(thing) in seen:
        return seen[id(thing)]
    seen[id(thing)] = len(seen)
    if isinstance(thing, list | tuple):
        return tuple(state(item, seen) for item in thing)
    if isinstance(thing, dict):
        return tuple((state(key, seen), state(value, seen)) for key, value in thing.items())
    if type(thing).__module__.startswith("dice."):
        fields = getattr(thing, "__dict__", {})
        return type(thing).__name__, tuple((name, state(fields[name], seen)) for name in fields if name not in VOLATILE)
    return id(thing)


class Peer:
    """One client: its sessions one after the other, its CoAP, and its address."""

    def __init__(self, identity, address):
        self.identity, self.address = identity, address
        self.session = self.coap = self.resumption = None
        self.heard = []

    def connect(self, world, key=None, **options):
        """Begin a new session; `options` are those of Client."""
        role = Client(Psk(self.identity, key or KEYS[self.identity]), world.randbytes, **options)
        self.session = Session(role, RecordLayer(), world.now, timer_ms=1000)
        self.coap = Endpoint(world.handler, world.randbytes)


class World:
    """A listener, its clients, the network between them, and the attacker's memory."""

    def __init__(self, seed):
        self.chance = chance = random.Random(seed)
        self.randbytes = chance.randbytes
        self.now = chance.randrange(1 << 29)
        self.tickets = Tickets(self.randbytes, 1 << 28, self.now) if chance.random() < 0.7 else None
        self.server = Listener(
            PskLookup(KEYS.get),
            self.randbytes,
            self.now,
            lambda address: address,
            cid_bytes=chance.choice((0, 1, 1, 2)),
            sessions_max=len(KEYS),
            half_open_max=chance.choice((2, 4, 8)),
            tickets=self.tickets,
            timer_ms=1000,
        )
        self.peers = [Peer(identity, b"address %d" % number) for number, identity in enumerate(KEYS)]
        self.coaps = {}  # of a ServerSession
        self.log = []  # (datagram, address of a client) of all that arrived
        self.lost = []  # the same of what has not arrived; it may come late
        self.requests = 0

    def handler(self, request, _):
        """Answer a CoAP request, on both sides."""
        self.requests += 1
        return CONTENT, request.payload

    def other_side(self, peer):
        """Return the ServerSession with the same keys as a client, or None."""
        for client in self.server.sessions:
            if peer.session and peer.session.connected and client.session.secrets.randoms == peer.session.secrets.randoms:
                return client
        return None

    # Those with keys.

    def established(self):
        """Return the state of all that is authenticated, on both sides."""
        sessions = [(client, self.coaps.get(client)) for client in self.server.sessions]
        ours = [(peer.session, peer.coap) for peer in self.peers if peer.session and peer.session.connected]
        return state([sessions, ours, self.requests])

    def serve(self, datagram, address):
        """Give the server a datagram, and its CoAP what comes of it."""
        event = CONNECTED
        while event not in (NONE, CLOSED):
            event, client = self.server.receive(datagram, address, self.now)
            datagram = b""
            if event == CONNECTED:
                self.coaps[client] = Endpoint(self.handler, self.randbytes)
            if event == DATA:
                self.coaps[client].receive(client.session.data, self.now)
                self.say(client.session, self.coaps[client])

    def say(self, session, coap):
        """Put what CoAP has to send into the session."""
        message = coap.transmit()
        if message:
            session.send(message, self.now)

    def hear(self, peer, datagram):
        """Give a client a datagram."""
        event = peer.session.receive(datagram, self.now)
        while event not in (NONE, CLOSED):
            if event == DATA:
                peer.coap.receive(peer.session.data, self.now)
                self.say(peer.session, peer.coap)
            event = peer.session.receive(b"", self.now)

    def run(self, loss=0.0, rounds=12):
        """Carry datagrams until there are none."""
        for _ in range(rounds):
            quiet = True
            for peer in self.peers:
                datagram = peer.session.transmit() if peer.session else None
                while datagram:
                    quiet = False
                    if self.passes(datagram, peer.address, loss):
                        self.serve(datagram, peer.address)
                    datagram = peer.session.transmit()
            out = self.server.transmit()
            while out:
                quiet = False
                for peer in self.peers:
                    if peer.session and peer.address == out[1] and self.passes(out[0], peer.address, loss):
                        self.hear(peer, out[0])
                out = self.server.transmit()
            if quiet:
                return

    def passes(self, datagram, address, loss):
        """Return whether a datagram is not lost; the attacker reads it in any case."""
        arrives = self.chance.random() >= loss
        (self.log if arrives else self.lost).append((bytes(datagram), address))
        return arrives

    def tick(self, milliseconds):
        """Let time pass."""
        self.now += milliseconds
        self.server.timeout(self.now)
        for peer in self.peers:
            if peer.session:
                peer.session.timeout(self.now)

    def act(self):
        """One thing that those with keys do."""
        if self.lost and self.chance.random() < 0.2:  # what is authentic comes late, or is held back by the attacker
            self.serve(*self.lost.pop(self.chance.randrange(len(self.lost))))
            return
        peer = self.chance.choice(self.peers)
        session = peer.session
        if self.other_side(peer):
            kind = self.chance.randrange(8)
            if kind == 0:
                peer.resumption = session.resumption()
                session.close()
            elif kind == 1:  # a restart: the same client, a new session
                peer.connect(self, cid=None)
            elif kind == 2 and session.layer.peer_cid:
                peer.address = b"moved %d" % self.now
                assert talks(self, peer)
            else:
                assert talks(self, peer)
        else:
            wrong = self.chance.random() < 0.3
            cid = self.chance.choice((None, b"", b"\7"))
            options = {"cid": cid, "tickets": self.chance.random() < 0.5, "resume": None if wrong else peer.resumption}
            peer.resumption = None
            peer.connect(self, key=b"wrong" if wrong else None, **options)
        self.run(self.chance.choice((0.0, 0.0, 0.3)), rounds=self.chance.choice((1, 2, 12)))

    # The attacker.

    def forged(self):
        """Return (datagram, address) of the attacker's own making, from what it has read."""
        chance = self.chance
        address = chance.choice([peer.address for peer in self.peers] + [b"attacker", b"attacker %d" % self.now])
        if not self.log:
            return chance.randbytes(30), address
        if self.lost and chance.random() < 0.2:
            datagram, at = chance.choice(self.lost)
            if datagram[3:5] == b"\0\1":  # one that is damaged on its way
                at_byte = chance.randrange(13, len(datagram))
                return datagram[:at_byte] + bytes((datagram[at_byte] ^ 1 << chance.randrange(8),)) + datagram[at_byte + 1 :], at
        recent = self.log[-40:]
        datagram, at = chance.choice(recent if chance.random() < 0.7 else self.log)
        if chance.random() < 0.6:
            address = at
        kind = chance.randrange(8)
        data = bytearray(datagram)
        if kind == 1:
            for _ in range(chance.choice((1, 1, 3))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == 2:
            del data[chance.randrange(len(data)) :]
        elif kind == 3:
            other = chance.choice(recent)[0]
            data = data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]
        elif kind == 4:
            data += chance.choice(recent)[0]
        elif kind == 5:  # junk of an epoch, with a connection id
            cid = chance.randbytes(chance.choice((0, 1, 2)))
            head = (
                bytes((25 if cid else chance.choice((20, 21, 22, 23)),)) + b"\xfe\xfd" + chance.choice((b"\0\0", b"\0\1", b"\0\2"))
            )
            size = chance.choice((2, 14, 24, 40))
            data = head + chance.choice((bytes(5) + bytes((chance.randrange(256),)), b"\xff" * 6)) + cid + size.to_bytes(2, "big")
            data += chance.randbytes(size)
        elif kind == 6:
            data = (
                b"\x15\xfe\xfd\0"
                + bytes((chance.randrange(2),))
                + bytes(5)
                + b"\x63\0\2"
                + bytes((chance.choice((1, 2)), chance.randrange(121)))
            )
        elif kind == 7:
            data = b"\x16\xfe\xfd\0\0" + bytes(5) + b"\x63" + len(data[13:]).to_bytes(2, "big") + data[13:]
        return bytes(data), address

    def attack(self):
        """Send one forged datagram to the server or to a client, or begin a handshake in the name of another."""
        self.run(loss=1.0)  # what they still have to send
        before = self.established()
        if self.chance.random() < 0.15:
            self.impersonate()
        else:
            datagram, address = self.forged()
            if self.chance.random() < 0.7:
                self.serve(datagram, address)
            else:
                for peer in self.peers:
                    if peer.session and peer.session.connected and peer.address == address:
                        self.hear(peer, datagram)
        assert self.established() == before
        self.drop_answers()

    def impersonate(self):
        """Begin a handshake with the address of a client; the attacker reads the cookie, and the flight that answers."""
        address = self.chance.choice([peer.address for peer in self.peers] + [b"attacker"])
        identity = self.chance.choice(list(KEYS))
        session = Session(
            Client(Psk(identity, b"no key"), self.randbytes, self.chance.choice((None, b""))), RecordLayer(), self.now
        )
        for _ in range(self.chance.choice((1, 2, 3))):
            datagram = session.transmit()
            while datagram:
                self.log.append((bytes(datagram), address))
                self.serve(datagram, address)
                datagram = session.transmit()
            for datagram, to in self.drop_answers():
                if to == address:
                    session.receive(datagram, self.now)

    def drop_answers(self):
        """Keep what the server sends from the clients: plaintext that an established one drops; return it."""
        found = []
        out = self.server.transmit()
        while out:
            self.log.append((bytes(out[0]), out[1]))
            found.append(out)
            out = self.server.transmit()
        return found


def talks(world, peer):
    """Return whether a request of a client is answered, and one of the server's."""
    world.run()
    exchange = peer.coap.request(GET, "x", b"up", now=world.now)
    world.say(peer.session, peer.coap)
    world.run()
    if not exchange.done or exchange.response is None or exchange.response.payload != b"up":
        return False
    client = world.other_side(peer)
    exchange = world.coaps[client].request(GET, "y", b"down", now=world.now)
    world.say(client.session, world.coaps[client])
    world.run()
    return exchange.done and exchange.response is not None and exchange.response.payload == b"down"


def test_an_attacker_without_keys_changes_nothing_that_is_established():
    attacks = talked = 0
    for seed in seeds(25):
        world = World(seed)
        try:
            for _ in range(STEPS):
                if world.chance.random() < 0.3:
                    world.act()
                else:
                    world.attack()
                    attacks += 1
                world.tick(world.chance.choice((0, 0, 1, 50, 400, 3000)))
            world.tick(HALF_OPEN_SAFE_MS)
            world.run()
            for peer in world.peers:
                if world.other_side(peer):
                    assert talks(world, peer), peer.identity
                    talked += 1
            fresh = Peer(b"device 0", b"fresh")
            world.peers.append(fresh)
            fresh.connect(world)
            world.run()
            assert fresh.session.connected and talks(world, fresh)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert attacks > 500 and talked > 10, (attacks, talked)


def test_an_attacker_without_keys_changes_nothing_in_a_group():
    for seed in seeds(25):
        chance = random.Random(seed)
        key = chance.randbytes(16)
        members = [Member(make_gsa(own_id=own_id, key=bytearray(key)), RamStore(), 0) for own_id in (1, 2, None)]
        log, heard = [], 0
        for now in range(0, 60_000, 1000):
            sender = chance.choice(members[:2])
            sender.send(b"%d" % now, now)
            datagram = bytes(sender.transmit())
            log.append(datagram)
            for member in members:
                heard += member is not sender and member.receive(datagram, now) == DATA
            for _ in range(6):
                data = bytearray(chance.choice(log))
                kind = chance.randrange(5)
                if kind == 0:
                    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
                elif kind == 1:
                    del data[chance.randrange(len(data)) :]
                elif kind == 2:
                    other = chance.choice(log)
                    data[13:] = other[13:] if other[:13] != data[:13] else chance.randbytes(30)
                elif kind == 3:
                    data = bytearray(chance.randbytes(chance.randrange(80)))
                for member in members:
                    before = state(member)
                    assert member.receive(bytes(data), now) == NONE, f"seed {seed}"
                    assert state(member) == before and member.transmit() is None, f"seed {seed}"
        assert heard == 120, f"seed {seed}"
