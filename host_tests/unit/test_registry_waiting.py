# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Acknowledgements and sessions are written together, within a tenth of a second; all else at once, and in order."""

import os
import random

import pytest

from dice.errors import DiceError
from dice.group.manager import ANSWERING, LISTENER, SENDER, Manager
from dicectl.manager.registry.base import RegistryError, StoredSession
from host_tests.registries import group, plain
from host_tests.seeds import search

MEMBERS = 40


class Timers:
    """Looks like call_later of a loop; run() calls what waits."""

    def __init__(self):
        self.waiting = []

    def __call__(self, seconds, function):
        self.waiting.append((seconds, function))

    def run(self):
        waits, self.waiting = self.waiting, []
        for _, function in waits:
            function()
        return [seconds for seconds, _ in waits]


@pytest.fixture
def many(backend):
    """Return (registry, Timers, the Manager of a group, identities of its members), with nothing that waits."""
    registry = backend.open()
    manager = group(registry)
    identities = [registry.enrol(f"lamp-{number}")[0] for number in range(MEMBERS)]
    manager.add(identities, LISTENER, 0)
    registry.later = Timers()
    yield registry, registry.later, manager, identities
    if registry._connection:
        registry.close()


def held(registry):
    """Return how many members have acknowledged the epoch, in the storage."""
    (stored,) = registry.read_states()
    return sum(member.held == stored.state.epoch for member in stored.state.members.values())


def count_transactions(registry, monkeypatch):
    begun = []
    original = registry.begin
    monkeypatch.setattr(registry, "begin", lambda: (begun.append(1), original()))
    return begun


def test_many_acknowledgements_are_one_transaction(many, monkeypatch):
    registry, timers, manager, identities = many
    begun = count_transactions(registry, monkeypatch)
    for identity in identities[1:]:
        manager.acknowledge(identity, 1, 0)
        registry.store_sessions({identity: StoredSession("a", b"t" * 16, 1.0)})
    assert (begun, held(registry)) == ([], 0)
    assert [seconds for seconds, _ in timers.waiting] == [0.1]
    last = registry.last_entry
    timers.run()
    assert len(begun) == 1 and held(registry) == MEMBERS - 1 and len(registry.sessions()) == MEMBERS - 1
    entries = registry.audit(last)
    assert [entry["event"] for entry in entries] == ["acknowledged"] * (MEMBERS - 1)
    manager.acknowledge(identities[0], 1, 0)  # now the epoch is active, which does not wait, nor does what came before it
    assert len(begun) == 2 and held(registry) == MEMBERS and registry.read_states()[0].state.active
    assert [entry["event"] for entry in registry.audit(entries[-1]["number"])] == ["acknowledged", "active"]


def test_what_an_operator_does_is_durable_at_once_with_all_that_came_before(many, backend):
    registry, timers, manager, identities = many
    manager.acknowledge(identities[0], 1, 0)
    manager.acknowledge(identities[1], 1, 0)
    manager.remove([identities[1]], 0)
    numbers = [entry["number"] for entry in backend.audit()]
    assert [entry["event"] for entry in backend.audit()][-4:] == ["acknowledged", "acknowledged", "removed", "epoch"]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert plain(registry.read_states()[0].state) == plain(manager.state)
    timers.run()
    assert len(backend.audit()) == len(numbers), "nothing is written twice"


def test_what_waits_is_part_of_the_states_that_are_read(many):
    registry, _, manager, identities = many
    manager.acknowledge(identities[0], 1, 0)
    assert plain(registry.states()[0].state) == plain(manager.state)


def test_a_batch_that_fails_is_tried_again_and_nothing_is_lost(many, monkeypatch):
    registry, timers, manager, identities = many
    for identity in identities[:10]:
        manager.acknowledge(identity, 1, 0)
    original = registry.begin

    def full():
        raise RegistryError("disk I/O error")

    monkeypatch.setattr(registry, "begin", full)
    waits = timers.run() + timers.run()
    assert waits == [0.1, 1.0] and str(registry.write_error) == "disk I/O error"
    manager.acknowledge(identities[10], 1, 0)  # waits, too
    with pytest.raises(RegistryError):
        manager.rekey(0)
    monkeypatch.setattr(registry, "begin", original)
    timers.run()
    assert held(registry) == 11 and registry.write_error is None and not registry._waiting
    manager.acknowledge(identities[11], 1, 0)
    assert 0.1 in timers.run() and held(registry) == 12


def test_a_change_that_fails_keeps_what_waits(many):
    registry, timers, manager, identities = many
    manager.acknowledge(identities[0], 1, 0)
    registry.store_sessions({identities[0]: StoredSession("a", b"", 1.0)})
    with pytest.raises(ZeroDivisionError), registry.together():
        registry.enrol("other")
        raise ZeroDivisionError
    assert held(registry) == 0
    timers.run()
    assert held(registry) == 1 and list(registry.sessions()) == [identities[0]]
    numbers = [entry["number"] for entry in registry.read_audit(0, None)]
    assert numbers == [*range(1, len(numbers) + 1)]


def test_rows_that_wait_for_a_device_that_is_gone_are_dropped(many):
    registry, timers, manager, identities = many
    gone = identities[0]
    manager.acknowledge(gone, 1, 0)
    registry.store_sessions({gone: StoredSession("a", b"", 1.0)})
    with registry.together():
        manager.remove([gone], 0)
        registry.wipe("lamp-0")
    registry.store_sessions({gone: StoredSession("a", b"", 1.0)})
    timers.run()
    assert registry.sessions() == {} and gone not in registry.read_states()[0].state.members


def test_closing_writes_what_waits(many, backend):
    registry, timers, manager, identities = many
    manager.acknowledge(identities[0], 1, 0)
    registry.close()
    again = backend.open()
    assert held(again) == 1
    registry._waiting.sessions[identities[0]] = None
    timers.run()  # of a loop that goes on after the registry is closed
    assert registry._waiting and not timers.waiting
    again.close()


def test_any_order_of_changes_failures_and_timers_ends_in_the_same_rows(backend, monkeypatch):
    """The storage is equal to the state in memory whenever nothing waits, and never ahead of it."""

    def run(seed):
        chance = random.Random(seed)
        registry = backend.open()
        timers = registry.later = Timers()
        states = registry.states()
        manager = Manager(states[0].state, registry.commit, os.urandom, 0) if states else group(registry)
        done = {"changes": 0, "failures": 0}
        original = type(registry).end

        def end(durable):
            if durable and chance.random() < 0.2:
                raise RegistryError("disk I/O error")
            original(registry, durable)

        monkeypatch.setattr(registry, "end", end)
        for _ in range(120):
            members, devices = manager.state.members, registry.devices()
            what = chance.choice(("enrol", "add", "remove", "rekey", "hold", "hold", "hold", "session", "timer", "timer"))
            try:
                if what == "enrol" and len(devices) < 12:
                    registry.enrol(f"device-{seed}-{len(devices)}-{chance.random()}")
                elif what == "add":
                    outside = [identity for identity in devices.values() if identity not in members]
                    manager.add(chance.sample(outside, min(2, len(outside))), chance.choice((SENDER, ANSWERING, LISTENER)), 0)
                elif what == "remove" and len(members) > 3:
                    manager.remove([chance.choice(list(members))], 0)
                elif what == "rekey" and members:
                    manager.rekey(0)
                elif what == "hold" and members:
                    identity = chance.choice(list(members))
                    manager.gsa(identity)
                    manager.acknowledge(identity, manager.state.epoch, 0)
                elif what == "session" and devices:
                    stored = StoredSession("a", os.urandom(16), chance.random())
                    registry.store_sessions({chance.choice(list(devices.values())): chance.choice((None, stored))})
                elif what == "timer":
                    timers.run()
                done["changes"] += 1
            except RegistryError:
                done["failures"] += 1
            except DiceError:
                pass
            compare(registry, manager)
        monkeypatch.setattr(registry, "end", lambda durable: original(registry, durable))
        registry.flush()
        assert plain(registry.read_states()[0].state) == plain(manager.state) and not registry._waiting
        numbers = [entry["number"] for entry in registry.read_audit(0, None)]
        assert numbers == [*range(1, len(numbers) + 1)]
        registry.close()
        return done

    search(run, 3)


def compare(registry, manager):
    stored, state = plain(registry.read_states()[0].state), plain(manager.state)
    waiting = {identity for _, identity, _ in registry._waiting.held()}
    for identity, member in stored["members"].items():
        if identity in waiting:
            assert member["held"] <= state["members"][identity]["held"]
            stored["members"][identity] = state["members"][identity]
    for members in (stored["members"], state["members"]):  # the manager does not commit how far a member has sent
        for member in members.values():
            member.pop("sent", None)
    assert stored == state
