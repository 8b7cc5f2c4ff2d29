# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No nonce is used twice in a group, whatever is lost: counters, power, writes, GSAs; or held twice: a SenderID.

Each seed is a scenario of questions, answers, replays, reboots and lost counters, in two epochs. Everything that is sealed has a
content of its own, so host_tests/nonces.py finds each number that is used twice.
"""

from contextlib import suppress
from random import Random

from dice.errors import DATA, DiceError, StoreError
from dice.group.gsa import D00, DERIVE_SENDER, DERIVE_SHARED, K08, UNKNOWN, Gsa
from dice.group.member import Member
from dice.group.response import ReceivedRequest
from dice.reasons import E_STORE_WRITE
from dice.suites import PSK_AES_128_CCM_8
from host_tests.nonces import RECORD
from host_tests.seeds import seeds

A, B, L, M = 1, 2, 200, 201  # SenderIDs and ListenerIDs
EPOCHS = 3
STEPS = 200


class PowerCut(Exception):
    """The device loses power."""


class Flash:
    """A store that may fail, or lose power, before or after a write."""

    def __init__(self, random):
        self.values = {}
        self.random = random
        self.fault = None

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        fault, self.fault = self.fault, None
        if fault == "fails":
            raise StoreError(E_STORE_WRITE)
        if fault == "cut before":
            raise PowerCut
        self.values[name] = value
        if fault == "cut after":
            raise PowerCut
        if fault == "false alarm":
            raise StoreError(E_STORE_WRITE)


class Device:
    """A member with flash and its GSA files: each is fresh until the member has entered its epoch."""

    def __init__(self, world, own_id, random):
        self.world = world
        self.own_id = own_id
        self.random = random
        self.flash = Flash(random)
        self.epoch = 1  # of the newest GSA
        self.fresh = True
        self.late = random.random() < 0.3  # its GSA does not know the numbers of others
        self.options = {"reserve_records": random.choice((1, 3, 64)), "remember_records": random.choice((1, 3))}
        self.requests = []
        self.member = None
        self.boot()

    def boot(self):
        """Start with the newest GSA, as join() does."""
        self.member = None
        self.requests.clear()
        with suppress(DiceError, PowerCut):
            self.member = Member(self.world.gsa(self), self.flash, 0, **self.options)
            self.fresh = False  # the file is written back

    def guarded(self, call, *arguments):
        """Call a method of the member; a power cut reboots the device."""
        try:
            return call(*arguments)
        except PowerCut:
            self.boot()
        except DiceError:
            pass
        return None

    def entered(self):
        """Return the epoch that was entered last."""
        return self.flash.values.get("67727031l0000", 0) >> 48

    def may_seal(self, epoch):
        """Return whether the test lets this device seal something in `epoch`."""
        return True

    def send(self):
        """Ask something, and record the datagram."""
        if self.may_seal(self.entered()):
            self.guarded(self.member.send, self.world.text(), 0)
        datagram = self.member.transmit() if self.member else None
        if datagram:
            self.world.air.append(bytes(datagram))

    def receive(self, datagram):
        """Receive a datagram; keep the request to answer it now, later or never."""
        if self.guarded(self.member.receive, datagram, 0) == DATA:
            self.requests.append((ReceivedRequest(self.member), self.member.epoch))

    def answer(self):
        """Answer a request that was received, maybe one that was answered before."""
        if self.requests:
            request, epoch = self.requests[-1] if self.random.random() < 0.7 else self.random.choice(self.requests)
            if self.may_seal(epoch) and self.guarded(request.answer, self.world.text()):
                self.world.answers += 1

    def next_epoch(self):
        """Receive the next GSA, as a managed node does: it is stored, then installed; the file stays fresh until it is entered."""
        if self.epoch < EPOCHS:
            self.epoch += 1
            self.fresh = True
            if self.member:
                self.guarded(self.member.install, self.world.gsa(self), 0)

    def activate(self):
        self.guarded(self.member.activate, 0)

    def written_back(self):
        """Mark the GSA as no longer fresh once its epoch has been entered, as a managed node does."""
        if self.entered() == self.epoch and self.member and self.member.held(self.epoch):
            self.fresh = False

    def lose(self):
        """Lose one counter, or all those of received records, or all counters."""
        if self.flash.values:
            names = sorted(self.flash.values)
            for name in self.random.choice((names, [self.random.choice(names)], [n for n in names if n[8] == "r"])):
                del self.flash.values[name]
            self.boot()

    def close(self):
        """Leave in good order, and start again."""
        self.guarded(self.member.close)
        self.boot()


class Clone(Device):
    """A device with the SenderID of another one. It tries to seal only in epochs in which it knows that."""

    def may_seal(self, epoch):
        return self.flash.values.get("67727031c%04x" % self.own_id, 0) >> 48 == epoch


class World:
    """Two senders and two listeners that answer, and maybe a device that has the SenderID of the second sender."""

    def __init__(self, random, cloned):
        self.random = random
        self.layout = random.choice((K08, D00))
        self.derive = random.choice((DERIVE_SENDER, DERIVE_SHARED))
        self.air = []
        self.answers = self.texts = 0
        self.losses = 0 if cloned else 0.2  # what a clone knows of the other device is all that it has
        self.devices = [Device(self, own_id, random) for own_id in (A, B, L, M)]
        if cloned:
            self.devices.append(Clone(self, B, random))

    def text(self):
        """Return a content that nothing else has."""
        self.texts += 1
        return b"%d" % self.texts

    def gsa(self, device):
        """Return the newest GSA of a device."""
        epoch = device.epoch
        size = 16 if self.derive == DERIVE_SENDER else 20
        senders = [(i, UNKNOWN if device.late and i != device.own_id else epoch << 48) for i in (A, B)]
        fields = {"gid": b"grp1", "address": b"\xef\1\2\3", "port": 1, "suite": PSK_AES_128_CCM_8, "layout": self.layout}
        fields |= {"derive": self.derive, "epoch": epoch, "key": bytearray((epoch,)) * size, "own_id": device.own_id, "own_next": 0}
        return Gsa(senders=senders, lifetime_s=0, budget=1000, fresh=device.fresh, **fields)

    def step(self):
        """Let something happen to one device."""
        device = self.random.choice(self.devices)
        if not device.member:
            device.boot()
            if not device.member:
                device.next_epoch() if self.random.random() < 0.1 else None
            return
        kinds = {"send": 4, "receive": 12, "answer": 8, "fault": 1, "boot": 1, "lose": self.losses, "close": 0.5, "next_epoch": 0.2}
        kind = self.random.choices([*kinds, "activate"], [*kinds.values(), 0.3])[0]
        if kind == "receive":
            if self.air:
                latest = self.random.random() < 0.6
                device.receive(self.random.choice(self.air[-3:] if latest else self.air))
        elif kind == "fault":
            device.flash.fault = self.random.choice(("fails", "cut before", "cut after", "false alarm"))
        else:
            getattr(device, kind)()
        device.written_back()


def search(cloned):
    """Try the seeds; assert that no nonce was repeated, and that there were some."""
    answers = 0
    for seed in seeds(250):
        RECORD.new_world()
        world = World(Random(seed), cloned)
        for _ in range(STEPS):
            world.step()
        RECORD.check(f"seed {seed}: ")
        answers += world.answers
    assert answers > 5 * len(seeds(250)), "hardly anything was answered"


def test_no_nonce_is_used_twice_whatever_is_lost():
    search(False)


def test_a_device_that_knows_of_another_with_its_sender_id_uses_no_nonce_of_it():
    search(True)
