# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The properties of every state of a group (DESIGN, invariant 3), whatever led to it.

The adversary has every record that was ever sent, and may deliver any of them to any member at any time. So in every state each
member is given, on a copy of it, every record that it must not obey.
"""

import pickle

from dice.errors import DATA
from dice.limits import CATCH_UP_MIN_MS
from host_tests import bounds
from host_tests.properties.epochs_world import World, violated


def bound_ms(world, name):
    """Return until when a member may obey an expelled one, in ms, or None if nothing bounds it.

    For a member that is connected, from the expulsion, or from when it was reached again. For others from when it last started or
    woke up, because the lifetime of keys is the time in which it has power.
    """
    when, _ = max(world.expelled.values())
    reached = world.since.get(name)
    if reached is not None:
        bound = int(1000 * bounds.connected_s(len(world.facts[World.MANAGER].members) + 1))
        if world.restored:  # a second member that is further ahead than the first
            bound = 2 * bound + CATCH_UP_MIN_MS
        return max(when, reached) + bound
    left_s = bounds.without_manager_s(world.facts[World.MANAGER].lifetime_s)
    return None if left_s is None else max(when, world.awake_since.get(name, 0)) + 1000 * left_s


def check(world, touched):
    """Raise Violation unless all properties hold; `touched` names the parts that have changed."""
    _check_word(world)
    if not world.restored and world.facts[World.MANAGER].ahead:
        violated("rollback", f"the manager believes that its registry is old: {world.facts[World.MANAGER].ahead}")
    for name in world.devices():
        facts = world.facts[name]
        if name in world.facts[World.MANAGER].members and facts.powered and facts.awake and facts.current:
            forbidden = list(_forbidden(world, name, name in touched))
            if forbidden:
                _check_obedience(world, name, forbidden)


def _forbidden(world, name, touched):
    """Yield (record, property, why) of each record of an epoch that the member holds, and that it must not obey."""
    facts = world.facts[name]
    for number, record in enumerate(world.sent):
        if record.epoch not in (facts.current, facts.other) or record.device == name:
            continue
        if record.device in world.expelled:
            until = bound_ms(world, name)
            if until is not None and world.now > until:
                when, _ = world.expelled[record.device]
                text = "%.1f s after its expulsion; the bound was %.1f s" % ((world.now - when) / 1000, (until - when) / 1000)
                yield record, "expulsion", text
        if touched:
            before, known = facts.claims.get(record.epoch, (0, ()))
            if number in facts.obeyed:
                yield record, "twice", "again"
            elif number < before and record.sender in known and record.epoch != world.copied:
                yield record, "latecomer", "recorded before it joined, although the manager said what had been sent"


def _check_obedience(world, name, forbidden):
    member = pickle.loads(world.pickles[name]).member
    for record, kind, text in forbidden:
        if member.receive(record.datagram, world.now) == DATA:
            violated(kind, f"{name} obeys a message of {record.device} {text}")


def _check_word(world):
    """The manager's word "in use" or "settled" is true of every member that is connected."""
    side = world.facts[World.MANAGER]
    if not side.in_use and not side.settled:
        return
    word = f"the manager says that epoch {side.epoch} is {'settled' if side.settled else 'in use'}"
    for name in world.since:
        facts = world.facts[name]
        if name not in side.members or name not in side.connected or not facts.powered:
            continue
        if facts.current == facts.file_epoch == side.epoch and facts.key != side.key:
            violated("word", f"{word}; {name} is connected, and has another key of it")
        if facts.current != side.epoch and not (side.lifetime_s and facts.current is None):
            violated("word", f"{word}; {name} is connected, and in epoch {facts.current}")
        reads = facts.other is not None and (facts.grace_end is None or facts.grace_end > world.now)
        if reads and facts.other < max([epoch for _, epoch in world.expelled.values()], default=0):
            violated("word", f"{word}; {name} is connected, and still reads epoch {facts.other}, in which the expelled can send")
