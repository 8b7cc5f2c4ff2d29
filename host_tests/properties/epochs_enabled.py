# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which actions (epochs_actions) are possible in a state, and which budgets they use up."""

from dice.group.manager import LISTENER
from host_tests.properties.epochs_actions import deadlines
from host_tests.properties.epochs_world import World


def enabled(world):
    """Return the actions that the budget allows."""
    side = world.facts[World.MANAGER]
    found = []
    for name, (_, due) in side.pushes.items():
        if due is None and world.facts[name].powered:
            found.append(("push arrives", name))
            found += [(action, name) for action in ("response lost", "push lost")]
    if side.has_backup:
        found += [("restore", True), ("restore", False)]
    found += [("rekey",), ("kill",), ("backup",)] + [("remove", name) for name in side.members]
    for name in world.devices():
        facts = world.facts[name]
        member = name in side.members
        if name not in side.members and name not in world.expelled:
            found.append(("add", name, LISTENER))
            continue
        if member and facts.awake and facts.own_id is not None and facts.current:
            found.append(("send", name))
        if not member:
            continue
        found += _device_actions(world, name, facts)
    if not world.urgent():
        found.append(("wait",))
        if deadlines(world):
            found.append(("wait on",))
    return [action for action in found if all(world.budget.get(name, 9) > 0 for name in budgets_of(action))]


def _device_actions(world, name, facts):
    connected = name in world.facts[World.MANAGER].connected
    if not facts.powered:
        return [("on", name)]
    if not facts.awake:
        return [("wake", name)]
    found = [("sleep", name), ("off", name)]
    if facts.late:
        found.append(("push late", name))
    if facts.joining:
        found.append(("join ends", name))
    if connected:
        found.append(("cut", name))
    else:
        found += [("connect", name), ("join late", name)]
        found += [("connect", name, answered, handled) for answered, handled in ((0, True), (1, False), (1, True))]
    if facts.joined and facts.current:
        found += [("record", number, name) for number, sent in enumerate(world.sent) if sent.device != name]
    return found


FAULTS = {"kill", "response lost", "push lost", "connect badly", "join late", "cut", "off", "sleep"}


def budgets_of(action):
    """Return the names of the budgets that an action uses up, such as "cut", "cut lamp" and "fault"."""
    name = action[0]
    if name == "wait on":
        return ("wait",)
    if name == "connect" and len(action) > 2:
        name = "connect badly"
    names = (name, f"{name} {action[1]}") if len(action) > 1 else (name,)
    return (*names, "fault") if name in FAULTS else names
