# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Saved sessions through random schedules: several of them under the same and other names, crashes, stores that fail or forget.

Every seal is recorded (host_tests/nonces.py), so a nonce that is used twice fails. No peer receives a record twice either. The one
thing that no code can detect is left out: a saved session *and* the store, both put back from a copy after it was restored.
"""

import random
from collections import Counter

from dice.dtls.resumption import unwrap
from dice.dtls.sleep import restore, restore_in_clear, save, save_in_clear
from dice.errors import DATA, DiceError, StoreError
from dice.limits import RESERVE_RECORDS
from dice.reasons import E_STORE_WRITE
from host_tests.nonces import RECORD
from host_tests.portable.dtls_pair import connected, drain, give
from host_tests.seeds import search

NAMES = ("dtls", "dtls", "dtls", "s1")  # most sessions share one, as by default
SECRET = b"of this device"
STEPS = 120


class Crash(Exception):
    """The device lost power."""


class Store:
    """A store whose next write can be lost, reported as failed although it is not, or be the last of the device."""

    def __init__(self, chance):
        self.values = {}
        self._chance = chance
        self.fault = None

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        fault, self.fault = self.fault, None
        if fault in ("failed", "crash before"):
            raise StoreError(E_STORE_WRITE) if fault == "failed" else Crash
        self.values[name] = value
        if fault in ("failed after", "crash after"):
            raise StoreError(E_STORE_WRITE) if fault == "failed after" else Crash


class Pair:
    """A session of the device, of either role, and its peer. `live` is None while it is not in memory."""

    def __init__(self, chance):
        ends = connected(server={"cid": b"\7"} if chance.random() < 0.5 else {})
        self.live, self.peer = ends if chance.random() < 0.7 else ends[::-1]
        self.name = chance.choice(NAMES)
        self.saves = []  # that exist: (content, bytes, in clear); two saves of one state have the same content
        self.restored = Counter()  # how often, by content
        self.sent, self.heard = [], []  # datagrams of the peer, and what the device received

    def send(self, count):
        """Send records; the peer receives each, none twice."""
        for _ in range(count):
            self.live.send(b"up", 0)
            assert give(self.peer, drain(self.live)) == [b"up"]

    def receive(self, chance):
        """Receive a new record of the peer, or any old one, which is a replay."""
        number = len(self.sent)
        self.peer.send(b"%d" % number, 0)
        (datagram,) = drain(self.peer)
        self.sent.append(datagram)
        if chance.random() < 0.5:
            datagram = chance.choice(self.sent)
        if self.live.receive(datagram, 0) == DATA:
            heard = bytes(self.live.data)
            assert heard not in self.heard, "a replay was accepted"
            self.heard.append(heard)


class Device:
    """The sessions of a device and its store."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.store = Store(self.chance)
        self.pairs = [Pair(self.chance) for _ in range(3)]
        self.copies = []  # of the store, from before
        self.done = dict.fromkeys(("sent", "saved", "restored", "refused", "lost", "crashed"), 0)

    def step(self):
        pair = self.chance.choice(self.pairs)
        what = self.chance.choice((self.send, self.send, self.receive, self.save, self.save, self.restore, self.restore))
        if self.chance.random() < 0.2:
            what = self.chance.choice((self.lose, self.fault, self.connect, self.connect))
        try:
            what(pair)
        except Crash:
            self.crash()
        except DiceError:
            self.done["refused"] += 1

    def send(self, pair):
        if pair.live:
            pair.send(self.chance.choice((1, 2, RESERVE_RECORDS + 1, 3 * RESERVE_RECORDS)))
            self.done["sent"] += 1

    def receive(self, pair):
        if pair.live:
            pair.receive(self.chance)

    def save(self, pair):
        if not pair.live or not pair.live.connected:
            return
        clear = self.chance.random() < 0.3
        if self.chance.random() < 0.2:
            pair.name = self.chance.choice(NAMES)
        live, random_bytes = pair.live, self.chance.randbytes
        made = save_in_clear(live, self.store, pair.name) if clear else save(live, self.store, SECRET, random_bytes, pair.name)
        pair.saves.append((bytes(made if clear else unwrap(SECRET, made)), bytes(made), clear))
        pair.live = None
        self.done["saved"] += 1

    def restore(self, pair):
        """Restore the last save, or any older one, under any name; a session that is still in memory goes on too."""
        if not pair.saves:
            return
        content, data, clear = pair.saves[-1] if self.chance.random() < 0.5 else self.chance.choice(pair.saves)
        name = pair.name if self.chance.random() < 0.8 else self.chance.choice(NAMES)
        restored = restore_in_clear(data, self.store, 0, name) if clear else restore(data, self.store, SECRET, 0, name)
        pair.restored[content] += 1
        if pair.live:  # a session that was restored once more while it runs would be two
            assert not pair.live.connected, "two sessions of one"
        pair.live = restored
        self.done["restored"] += 1

    def fault(self, pair):
        self.store.fault = self.chance.choice(("failed", "failed after", "crash before", "crash after"))

    def lose(self, pair):
        """Lose the store, or put an old copy of it back; saves that were restored since that copy are gone as well."""
        self.done["lost"] += 1
        if self.chance.random() < 0.4 or not self.copies:
            self.store.values = {}
            return
        values, restored = self.chance.choice(self.copies)
        self.store.values = dict(values)
        for pair in self.pairs:
            gone = pair.restored - restored.get(pair, Counter())
            pair.saves = [one for one in pair.saves if one[0] not in gone]

    def connect(self, pair):
        """Connect anew, if the session is lost or ended."""
        if not pair.live or not pair.live.connected:
            self.pairs[self.pairs.index(pair)] = Pair(self.chance)

    def crash(self):
        """Lose all that is in memory."""
        self.done["crashed"] += 1
        for pair in self.pairs:
            pair.live = None

    def copy(self):
        self.copies.append((dict(self.store.values), {pair: Counter(pair.restored) for pair in self.pairs}))


def run(seed):
    """Run one schedule; return what happened."""
    RECORD.new_world(strict=True)
    device = Device(seed)
    for _ in range(STEPS):
        device.step()
        device.copy()
        if device.chance.random() < 0.02:
            device.crash()
    RECORD.check()
    return device.done


def test_no_schedule_repeats_a_nonce_or_accepts_a_replay():
    done = search(run, 200)
    assert all(done.values()), done
