# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager that is killed at any time: its registry contains all that it reported, and nothing is given out twice."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from dice.errors import DiceError
from dice.group.manager import ANSWERING, LISTENER, SENDER, Manager
from dicectl.manager.registry.opening import open_registry
from host_tests.registries import group, new, plain
from host_tests.seeds import seeds

KILLS = {"sqlite": 120, "postgresql": 40}  # more by DICE_SEEDS


def opened(name):
    """Open a registry whose last manager was killed: PostgreSQL ends its session, if it has not noticed yet."""
    return open_registry(name, fence=lambda execute: None)


def _work(name, seed, pipe):
    """Change a registry repeatedly, and report each change after it is made. In odd processes acknowledgements wait."""
    chance = random.Random(seed)
    registry = opened(name)
    timers = []
    if seed % 2:
        registry.later = lambda _, function: timers.append(function)
    states = registry.states()
    manager = Manager(states[0].state, registry.commit, os.urandom, 0) if states else group(registry)
    if seed == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # the group exists, and this was not reported
    while True:
        while timers and chance.random() < 0.3:
            timers.pop()()
        state = manager.state
        outside = [identity for identity in registry.devices().values() if identity not in state.members]
        inside = list(state.members)
        what = chance.choice(("enrol", "add", "add", "remove", "rekey", "hold", "hold", "hold"))
        try:
            if what == "enrol" and len(outside) + len(inside) < 40:
                registry.enrol(f"device-{len(outside) + len(inside)}")
            elif what == "add" and outside:
                manager.add([chance.choice(outside)], chance.choice((SENDER, ANSWERING, LISTENER)), 0)
            elif what == "remove" and len(inside) > 3:
                manager.remove([chance.choice(inside)], 0)
            elif what == "rekey" and chance.random() < 0.2:
                manager.rekey(0)
            elif what == "hold" and inside:
                identity = chance.choice(inside)
                if manager.gsa(identity):
                    pipe.send(("given", given(manager.gsa(identity), identity)))
                    manager.acknowledge(identity, state.epoch, 0)
            pipe.send(("kept", plain(manager.state)))
        except DiceError:
            pass


def given(gsa, identity):
    """Return the parts of a GSA that leave the manager."""
    return gsa.epoch, bytes(gsa.key), gsa.own_id, identity


def reports(receiving, process, changes, chance):
    """Yield the reports of a process until it is dead. It is killed after this many changes and a short time."""
    while True:
        if changes == 0:
            time.sleep(chance.uniform(0, 0.01))
            process.kill()
            changes = -1
        try:
            kind, change = receiving.recv()
        except EOFError:
            return
        changes -= kind == "kept"
        yield kind, change


@pytest.mark.long
def test_a_registry_killed_at_any_time_loses_no_change_and_issues_nothing_twice(backend):
    context = multiprocessing.get_context("fork")
    chance = random.Random(7)
    kills = len(seeds(KILLS[backend.kind]))
    keys, owners, last = {}, {}, plain(new())  # a group that is not stored yet is like one without any change
    changes = 0
    for number in range(kills):
        receiving, sending = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(backend.name, number, sending))
        process.start()
        sending.close()
        changes_before = chance.randrange(8) if number else -1  # the first process kills itself
        for kind, change in reports(receiving, process, changes_before, chance):
            if kind == "kept":
                last = change
                changes += 1
                continue
            epoch, key, own_id, identity = change
            assert keys.setdefault(epoch, key) == key, "an epoch has two keys"
            if own_id is not None:
                assert owners.setdefault((epoch, own_id), identity) == identity, "an id was given to two members in one epoch"
        process.join()
        assert process.exitcode == -signal.SIGKILL
        registry = opened(backend.name)
        states = registry.states()
        now = plain(states[0].state) if states else plain(new())
        audit = registry.audit()
        registry.close()
        assert now["epoch"] >= last["epoch"], "an epoch was forgotten"
        if now["epoch"] == last["epoch"]:
            if not number % 2:
                assert now == last or now["members"] != last["members"] or now["active"] != last["active"]
            for identity, member in last["members"].items():  # each reported change is stored; one more change may be
                if identity in now["members"]:
                    if not number % 2:
                        assert now["members"][identity]["held"] >= member["held"], "an acknowledgement was lost"
                    assert now["members"][identity]["offered"] >= member["offered"], "it was forgotten who has an epoch"
                    assert now["members"][identity]["id"] == member["id"]
        assert [entry["number"] for entry in audit] == list(range(1, len(audit) + 1))
        last = now
    assert len(set(keys.values())) == len(keys), "two epochs have the same key"
    print(f"{changes} changes, {kills} kills, {last['epoch']} epochs")
    assert changes > kills and last["epoch"] > kills // 10
