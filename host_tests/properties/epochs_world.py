# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One state of a group: its manager, its devices, what was sent, and the clock; and what can happen next.

A World is copied by sharing: each part is kept as its pickle, which is loaded when an action touches it. So a copy costs nothing,
the pickles are the key by which a state is recognised, and only the parts that an action touches are pickled again.
"""

import copyreg
import functools
import pickle
from collections import namedtuple

from dice._compat import ticks_diff
from dice.aio.group import Group
from dice.aio.kdc import Kdc
from dice.aio.key_delivery import KeyDelivery
from dice.aio.managed import ManagedGroup
from dice.coap.resource import Router
from dice.errors import DiceError
from dice.group import gsa, gsa_encode
from dice.group.context import Sender
from dice.group.counters import Counters
from dice.group.group_state import GroupState, MemberRecord
from dice.group.gsa import K08, UNKNOWN
from dice.group.gsa_encode import mul_id_of
from dice.group.manager import Manager
from dice.group.member import Member
from dice.group.presence import Presence
from dice.group.progress import Progress
from dice.group.ration import Ration
from dice.group.rollback import Rollback
from host_tests.nonces import RECORD
from host_tests.properties.stepped import CLOCK, DISK, SENT, Answer, Event, Session, Transport, run, run_delivery, run_group

GROUP = "g"
PATH = "gsa"
_INTERNAL_ERROR = 0xA0  # 5.00
LONG_MS = 7_200_000

Sent = namedtuple("Sent", "device sender epoch datagram key")  # a record on the wire, and the key with which it was sealed


# Most states have the same GSAs and keys; nobody changes a Gsa that this returns.
decode = functools.lru_cache(4096)(gsa.decode)
traffic_key = functools.lru_cache(4096)(gsa_encode.traffic_key)


class Violation(AssertionError):
    """A property does not hold."""


PROPERTIES = {"expulsion", "word", "lifetime", "nonce", "twice", "latecomer", "convergence", "rollback"}
CHECKED = set(PROPERTIES)


def violated(name, text):
    """Raise Violation, unless the search leaves out this property."""
    if name in CHECKED:
        raise Violation(f"{name}: {text}")


class Entropy:
    """Random bytes that never repeat, and depend on nothing."""

    def __init__(self):
        self.count = 0

    def __call__(self, size):
        self.count += 1
        return self.count.to_bytes(size, "big")


class Registry:
    """The state that the manager has committed."""

    def __init__(self, lifetime_s):
        self.state = GroupState(GROUP, b"\1\2\3\4", bytes((239, 1, 2, 3)), 5000, K08, lifetime_s)
        self.random = Entropy()
        self.backup = None

    def commit(self, state, change):
        self.state.apply(change)


class ManagerSide:
    """The group manager's process, and its registry, which survives it."""

    def __init__(self, lifetime_s):
        self.registry = Registry(lifetime_s)
        self.start()

    def restore(self):
        """Put the registry back to the backup."""
        self.registry.state = self.registry.backup.copy()

    def start(self):
        """Start the process, with no sessions."""
        self.manager = Manager(self.registry.state.copy(), self.registry.commit, self.registry.random, CLOCK[0])
        self.kdc = Kdc()
        self.kdc.add(self.manager)
        self.delivery = self.kdc._deliveries[GROUP]

    def work(self):
        """Let the task of the deliveries run, as after each change and at each deadline."""
        for push in list(self.pushes.values()):
            if push.due is not None and ticks_diff(CLOCK[0], push.due) >= 0:
                push.forget(self.delivery)
        run_delivery(self.delivery)

    @property
    def pushes(self):
        """Return {identity: Push}."""
        return self.delivery._pushes

    def handle(self, identity, ask):
        """Answer a request of a member."""
        try:
            return Answer(self.delivery.routes[ask.path][ask.code](ask, identity))
        except DiceError:
            return Answer((_INTERNAL_ERROR, b""))


class Flash:
    """The store of a device."""

    def __init__(self):
        self.values = {}

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        self.values[name] = value


class Device:
    """A device: its flash, and, while it has power, its ManagedGroup."""

    def __init__(self, name):
        self.name = name
        self.identity = name.encode()
        self.disk = {}
        self.store = Flash()
        self.managed = None
        self.awake = True
        self.joining = None  # responses that have arrived of a join() whose next one is under way, and when it was sent
        self.late = []  # requests of the manager that it has given up, and that still may arrive
        self.obeyed = frozenset()  # numbers of records
        self.claims = {}  # {epoch: (number of records sent before its GSA was made, SenderIDs whose number it tells)}
        self.missed = False  # it has received a record of an epoch that it does not have

    @property
    def member(self):
        return self.managed.group.member if self.managed and self.managed.group else None

    def use(self):
        """Make its flash that of the library's files."""
        DISK.clear()
        DISK.update(self.disk)

    def power_on(self):
        self.use()
        self.managed = ManagedGroup(GROUP, PATH, Transport(), self.store)
        try:
            run(self.managed.resume(), None)
        except DiceError:
            pass
        self.done(0)

    def power_off(self):
        self.managed = self.joining = None
        self.missed = False
        self.late = []

    def done(self, sent_before):
        """Keep what the library has written, and note what a new GSA tells of records that were sent before it was made."""
        if DISK.get(PATH) != self.disk.get(PATH):
            gsa = decode(DISK[PATH])
            if gsa.epoch not in self.claims:
                known = frozenset(sender_id for sender_id, number in gsa.senders if number != UNKNOWN)
                self.claims = {**self.claims, gsa.epoch: (sent_before, known)}
        self.disk = dict(DISK)

    def handle(self, ask):
        """Answer a request of the manager."""
        self.use()
        try:
            response = self.managed.routes[ask.path][ask.code](ask, None)
        except DiceError:
            response = _INTERNAL_ERROR, b""
        self.done(ask.sent_before)
        return Answer(response)

    def receive(self, datagram):
        """Receive a datagram of the group; return whether it was obeyed."""
        self.use()
        accepted = self.member.accepted
        run_group(self.managed.group, datagram)
        self.done(0)
        return self.member.accepted > accepted

    def run_timers(self, until, late=0):
        """Let the group's task look at each deadline until then, but not before `late`; return whether the group has ended."""
        member = self.member
        self.use()
        while member._context and member.deadline() is not None and ticks_diff(until, member.deadline()) >= 0:
            CLOCK[0] = max(member.deadline(), late)
            held, before = newest(member), member._context.epoch
            run_group(self.managed.group)
            if not member._context and held > before:
                violated("lifetime", f"{self.name} held epoch {held}, and fell out at the end of epoch {before}")
        self.done(0)
        return not member._context

    def tidy(self):
        """Forget what is no part of the state: counts, and what was received last."""
        member = self.member
        if member:
            self.missed = self.missed or "epoch" in member.dropped
            member.dropped = {}
            member.accepted = 0
            member.data = member.sender = member.epoch = member.sequence = None
            self.managed.group._messages.clear()
            self.managed.group._arrived.clear()
            for context in (member._context, member._other):
                for sender in context.senders.values() if context else ():
                    sender.forged = 0


def newest(member):
    """Return the newest epoch that a member holds, or 0."""
    return max([context.epoch for context in (member._context, member._other) if context], default=0)


class DeviceFacts:
    """The facts about a device that the search needs in every state."""

    def __init__(self, device):
        member = device.member
        self.powered = device.managed is not None
        self.awake = device.awake
        self.joined = member is not None
        self.joining = device.joining is not None
        self.late = len(device.late)
        self.missed = device.missed
        self.obeyed = device.obeyed
        self.claims = device.claims
        self.due = member.deadline() if member else None
        self.current = self.other = self.own_id = self.ends = None
        self.grace_end = self.lifetime_end = None
        if member and member._context:
            self.current = member._context.epoch
            self.own_id = member._context.own_id
            self.other = member._other.epoch if member._other else None
            self.grace_end = member._grace_end
            if member._lifetime_end is not None:
                left_s = member._context.lifetime_s - member._lived_s
                self.lifetime_end = member._lifetime_end + 1000 * left_s
        gsa = decode(device.disk[PATH]) if PATH in device.disk else None
        self.file_epoch = gsa.epoch if gsa else 0
        self.key = bytes(gsa.key) if gsa else None  # of the epoch in the file


class ManagerFacts:
    """The facts about the manager that the search needs in every state."""

    def __init__(self, side):
        state = side.manager.state
        self.members = {identity.decode(): member.role for identity, member in state.members.items()}
        self.epoch = state.epoch
        self.active = state.active
        self.grace_s = state.grace_s
        self.lifetime_s = state.lifetime_s
        self.deadline = side.manager.deadline()
        self.connected = {identity.decode() for identity in side.kdc.connected}
        self.pushes = {identity.decode(): (push.what, push.due) for identity, push in side.pushes.items()}
        self.settled = side.kdc.settled(GROUP)
        self.in_use = state.active and not side.kdc.awaited(GROUP)
        self.has_backup = side.registry.backup is not None
        self.ahead = dict(side.manager.rollback.ahead)
        self.key = bytes(traffic_key(state.tgk, mul_id_of(state.address), state.cs_id, state.rand)) if state.epoch else None


class World:
    """A state. `now` is in ms; `sent` lists what was sent; `budget` says how often each action may still be taken."""

    MANAGER = "the manager"

    def __init__(self, now=0):
        self.now = now
        self.pickles = {}
        self.facts = {}
        self.sent = ()
        self.expelled = {}  # {name: (when, the first epoch that it must not have)}
        self.restored = False  # whether the registry was put back to the backup
        self.copied = None  # the epoch of a backup that was put back and not marked: who was given what in it is not known
        self.since = {}  # {name: since when it has been reached without a failure}
        self.awake_since = {}  # {name: when it last started or woke up}
        self.budget = {}
        self._loaded = {}

    def copy(self):
        """Return a state that can be changed."""
        other = World(self.now)
        other.pickles = dict(self.pickles)
        other.facts = dict(self.facts)
        other.sent = self.sent
        other.expelled = dict(self.expelled)
        other.restored, other.copied = self.restored, self.copied
        other.since = dict(self.since)
        other.awake_since = dict(self.awake_since)
        other.budget = dict(self.budget)
        CLOCK[0] = self.now
        SENT[0] = len(self.sent)
        RECORD.new_world()  # what other schedules seal is compared with nothing; epochs_actions compares what this one does
        return other

    def add(self, name, part):
        self._loaded[name] = part

    def part(self, name):
        """Return the manager's side or a device, to be changed."""
        found = self._loaded.get(name)
        if found is None:
            found = self._loaded[name] = pickle.loads(self.pickles[name])
        return found

    @property
    def manager(self):
        return self.part(self.MANAGER)

    def devices(self):
        """Return the names of all devices."""
        return [name for name in self.facts if name != self.MANAGER]

    def urgent(self):
        """Return whether a request of the manager to a device with power is under way: time does not pass until it has arrived."""
        pushes = self.facts[self.MANAGER].pushes
        return any(due is None and self.facts[name].powered for name, (_, due) in pushes.items())

    def settle(self):
        """Write back the parts that were touched; return their names."""
        touched = list(self._loaded)
        for name, part in self._loaded.items():
            if name != self.MANAGER:
                part.tidy()
            self.pickles[name] = pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
            self.facts[name] = ManagerFacts(part) if name == self.MANAGER else DeviceFacts(part)
        self._loaded.clear()
        return touched

    def key(self):
        """Return what makes two states the same."""
        past = tuple((record.device, record.datagram) for record in self.sent)
        when = max(self.expelled.values(), default=(0, 0))[0]
        times = [sorted((name, max(when, at)) for name, at in since.items()) for since in (self.since, self.awake_since)]
        times = times if self.expelled else sorted(self.since)
        return hash((self.now, past, *self.pickles.values(), *sorted(self.budget.items()), repr(times)))


# Most of a search goes into pickles, and a third of that into names of classes, unless they have numbers.
_DEVICE = (Device, Flash, ManagedGroup, Group, Transport, Member, Counters, Sender, bytes, memoryview)
_MANAGER = (ManagerSide, Registry, Entropy, Manager, GroupState, MemberRecord, Progress, Ration, Rollback)
_DELIVERY = (Kdc, KeyDelivery, Presence, Router, Session, Event)
for _number, _class in enumerate(_DEVICE + _MANAGER + _DELIVERY, 1):
    copyreg.add_extension(_class.__module__, _class.__qualname__, _number)
