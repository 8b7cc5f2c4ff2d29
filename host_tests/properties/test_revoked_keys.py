# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keys that are deleted, changed and put back at any time, between any two datagrams, while clients connect and resume.

Invariants of every schedule: a client connects or resumes only if its key is the one of its identity at that moment; a session ends
within two minutes after its key is gone; a session of before two periods of the tickets is not resumed; a session with the same key
is left alone, also while the look-up fails.
"""

import os
import random

from dice._compat import ticks_add, ticks_diff
from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, NONE
from dice.limits import COOKIE_PERIOD_MS, CREDENTIAL_CHECK_MS, TICKET_PERIOD_MS
from host_tests.nonces import RECORD
from host_tests.portable.dtls_pair import give
from host_tests.seeds import search

IDENTITIES = (b"lamp", b"switch", b"desk")
STEPS = 150
HOUR_MS = 3_600_000


class Device:
    """A client: its identity, its address, the key that it has, and what it keeps to resume."""

    def __init__(self, identity, address, key):
        self.identity, self.address, self.key = identity, address, key
        self.session = None
        self.kept = []  # (Resumption, key, when)


class World:
    """A listener, its keys, and devices."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.now = 0  # ms, which do not wrap, as ticks do
        self.keys = {identity: os.urandom(16) for identity in IDENTITIES}
        self.old = {identity: [key] for identity, key in self.keys.items()}
        self.changed = dict.fromkeys(IDENTITIES, 0)  # when the key of an identity changed last
        self.broken = False
        self.failed_until = 0  # the last time at which the look-up failed
        self.proved = {}  # the key behind each ServerSession, and when that was proved
        tickets = Tickets(os.urandom, TICKET_PERIOD_MS, 0, 4)
        self.listener = Listener(PskLookup(self.find), os.urandom, 0, lambda address: address, sessions_max=64, tickets=tickets)
        self.devices = [Device(identity, bytes((i,)), self.keys[identity]) for i, identity in enumerate(IDENTITIES * 2)]
        self.done = dict.fromkeys(("connected", "resumed", "refused", "ended", "stayed", "expired"), 0)

    def ticks(self):
        return ticks_add(0, self.now)

    def find(self, identity):
        if self.broken:
            raise OSError("no disk")
        return self.keys.get(identity)

    def step(self):
        device = self.chance.choice(self.devices)
        what = self.chance.choice(
            (self.connect, self.connect, self.resume, self.resume, self.change, self.wait, self.fail, self.hang_up)
        )
        what(device)
        self.check()

    def connect(self, device, resumption=None):
        """Do a handshake, during which keys may change."""
        key = device.key
        resume, proved, since = resumption or (None, key, self.now)
        options = {"tickets": self.chance.random() < 0.5} if resume is None else {}
        role = Client(Psk(device.identity, key), os.urandom, resume=resume, **options)
        self.drop(device)
        device.session = Session(role, RecordLayer(), self.ticks())
        for _ in range(5):
            while datagram := device.session.transmit():
                if self.chance.random() < 0.05:
                    self.change(device)
                if self.chance.random() < 0.02:
                    self.fail(device)
                self.receive(device, bytes(datagram), key, proved, since)
            while sent := self.listener.transmit():
                for other in self.devices:
                    if other.session and other.address == sent[1]:
                        give(other.session, [bytes(sent[0])], self.ticks())
        if not device.session.connected:
            self.done["refused"] += 1
            self.drop(device)
            return
        if device.session.resumption():
            client = next(one for one in self.listener.sessions if one.address == device.address)
            device.kept.append((device.session.resumption(), *self.proved[client]))

    def receive(self, device, datagram, key, proved, since):
        """Let the listener receive a datagram; whoever connects by it must have the key of its identity now."""
        event, client = self.listener.receive(datagram, device.address, self.ticks())
        while event != NONE:
            if event == CONNECTED:
                if client.session.resumed:
                    assert self.now - since < 2 * TICKET_PERIOD_MS, "resumed after two periods"
                    self.done["resumed"] += 1
                    self.proved[client] = proved, since
                else:
                    self.proved[client] = key, self.now
                    self.done["connected"] += 1
                assert not self.broken and self.keys.get(device.identity) == self.proved[client][0], (
                    "connected with a key that is gone"
                )
            event, client = self.listener.receive(b"", device.address, self.ticks()) if event != CLOSED else (NONE, None)

    def resume(self, device):
        """Resume a session, of this device or of the other one with this identity, with whatever key the device has now."""
        kept = [one for other in self.devices if other.identity == device.identity for one in other.kept]
        if kept:
            chosen = self.chance.choice(kept[-6:])
            self.done["expired"] += self.now - chosen[2] >= 2 * TICKET_PERIOD_MS
            self.connect(device, chosen)

    def change(self, device):
        """Delete a key, change it, or put an old one back; the device may have been given the new one."""
        identity = device.identity
        before = self.keys.pop(identity, None)
        kind = self.chance.random()
        if kind < 0.4:
            self.keys[identity] = os.urandom(16)
            self.old[identity].append(self.keys[identity])
        elif kind < 0.7:
            self.keys[identity] = self.chance.choice(self.old[identity])
        if self.keys.get(identity) != before:
            self.changed[identity] = self.now
        if self.chance.random() < 0.7 and identity in self.keys:
            device.key = self.keys[identity]

    def fail(self, device):
        """Let the look-up fail, or work again."""
        self.broken = not self.broken and self.chance.random() < 0.5

    def hang_up(self, device):
        if device.session and device.session.connected:
            device.session.close()
            while datagram := device.session.transmit():
                self.listener.receive(bytes(datagram), device.address, self.ticks())

    def drop(self, device):
        """The device has lost its session; that of the server may stay, until the next one from this address replaces it."""
        device.session = None

    def wait(self, device):
        """Let time pass, as an event loop does."""
        end = self.now + self.chance.choice((1, 1000, 90_000, 200_000, HOUR_MS, 30 * HOUR_MS))
        while self.now < end:
            due = ticks_diff(self.listener.deadline(), self.ticks())
            assert due > 0, "what was due is still due"
            self.now = min(end, self.now + due)
            self.failed_until = self.now if self.broken else self.failed_until
            for client in self.listener.timeout(self.ticks()):
                if client in self.proved:
                    assert self.keys.get(client.session.identity) != self.proved[client][0], "a session ends whose key is the same"
                    assert not self.broken, "a look-up that fails ends a session"
                    self.done["ended"] += 1
            while sent := self.listener.transmit():
                for other in self.devices:
                    if other.session and other.address == sent[1]:
                        give(other.session, [bytes(sent[0])], self.ticks())

    def check(self):
        """Compare the established sessions with the keys."""
        late = CREDENTIAL_CHECK_MS + COOKIE_PERIOD_MS
        for client in self.listener.sessions:
            identity = client.session.identity
            gone = self.keys.get(identity) != self.proved[client][0]
            if gone and not self.broken:
                assert self.now - max(self.changed[identity], self.failed_until) <= late, "a session outlives its key"
            self.done["stayed"] += not gone


def run(seed):
    """Run one schedule; return what happened."""
    RECORD.new_world()
    world = World(seed)
    for _ in range(STEPS):
        world.step()
    RECORD.check()
    return world.done


def test_no_schedule_lets_a_key_that_is_gone_in():
    done = search(run, 30)
    assert all(done.values()), done
