# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Liveness: when the faults have stopped, all members are soon in the newest epoch, and obey each other."""

from host_tests.properties.epochs_actions import apply
from host_tests.properties.epochs_world import World, violated

ROUNDS = 40


def check_convergence(world):
    """Repair everything that is broken in a copy of a state, and check that the group works after a while."""
    world = world.copy()
    world.budget.clear()
    members = [name for name in world.devices() if name in world.facts[World.MANAGER].members]
    for name in members:
        facts = world.facts[name]
        if not facts.powered:
            world = apply(world, ("on", name))
        elif not facts.awake:
            world = apply(world, ("wake", name))
        if world.facts[name].joining:
            world = apply(world, ("join ends", name))
        if name not in world.facts[World.MANAGER].connected:
            world = apply(world, ("connect", name))
    if world.facts[World.MANAGER].lifetime_s:
        world = apply(world, ("rekey",))  # its keys may have expired
    for _ in range(2 * ROUNDS if world.restored else ROUNDS):
        pushes = world.facts[World.MANAGER].pushes
        under_way = [name for name, (_, due) in pushes.items() if due is None]
        if under_way:
            world = apply(world, ("push arrives", under_way[0]))
        elif _behind(world, members) or pushes:
            world = apply(world, ("wait",))
        else:
            break
    late = _behind(world, members)
    if late:
        violated("convergence", f"{late} are not in epoch {world.facts[World.MANAGER].epoch} long after the faults have ended")
    _check_obedience(world, members)


def _behind(world, members):
    epoch = world.facts[World.MANAGER].epoch
    return [name for name in members if world.facts[name].current != epoch]


def _check_obedience(world, members):
    """Each sender sends twice: the first message may be of unknown freshness, the second must be obeyed by all others."""
    for sender in [name for name in members if world.facts[name].own_id is not None]:
        for _ in range(2):
            world = apply(world, ("send", sender))
            number = len(world.sent) - 1
            for name in members:
                if name != sender:
                    world = apply(world, ("record", number, name))
        deaf = [name for name in members if name != sender and number not in world.facts[name].obeyed]
        if deaf:
            violated("convergence", f"{deaf} do not obey {sender}, long after the faults have ended")
