# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""group/device_ids.py in groups that are nearly full: whoever reports a clash, members can be expelled and keys renewed.

Ids are unique, and no other device has one that was used in the epoch before. Only members that are added can be too many.
"""

import random

from dice.errors import UsageError
from dice.group.gsa import D00, K08
from dice.group.gsa_encode import sender_id_max
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dice.limits import SENDERS_MAX
from dice.reasons import E_NO_ID
from host_tests.seeds import search


def _group(rng):
    """Return (Manager of a group in use with few or no ids left, how many there are in all)."""
    layout = rng.choice((K08, K08, K08, D00))
    state = GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5684, layout)
    manager = Manager(state, lambda state, change: None, rng.randbytes, 0)
    manager._ration.rests = False
    senders, free = rng.choice((1, 10, SENDERS_MAX)), rng.choice((0, 0, 1, 3, 20))
    places = min(255, sender_id_max(layout))
    manager.add([b"s%d" % i for i in range(senders)], SENDER, 0)
    manager.add([b"a%d" % i for i in range(places - senders - free)], ANSWERING, 0)
    manager.add([b"l"], LISTENER, 0)
    return manager, sender_id_max(layout)


def _report(manager, clashing):
    """Let all members enter the epoch, and some report a clash."""
    for identity in list(manager.state.members):
        manager.report(identity, manager.state.epoch, 0, identity in clashing, 0, 0, True)
    manager.timeout(1)


def _change(manager, rng, what, new):
    """Expel some member, renew the keys, replace or add one."""
    identity = rng.choice(sorted(manager.state.members))
    if what == "remove":
        manager.remove([identity], 0)
    elif what == "rekey":
        manager.rekey(0)
    elif what == "replace":
        manager.replace(identity, new, 0)
    else:
        manager.add([new], rng.choice((SENDER, ANSWERING)), 0)


def _check(before, manager):
    ids = {identity: member.id for identity, member in manager.state.members.items() if member.role != LISTENER}
    assert None not in ids.values() and len(set(ids.values())) == len(ids), "an id for each"
    taken = {number: identity for identity, number in before.items()}
    for identity, number in ids.items():
        assert taken.get(number, identity) == identity, "no id of the epoch before goes to another device"


def _run(seed):
    rng = random.Random(seed)
    manager, places = _group(rng)
    done = {"refused": 0}
    for step in range(12):
        members = manager.state.members
        clashing = rng.sample(sorted(members), rng.choice((0, 1, min(6, len(members)), len(members))))
        _report(manager, clashing)
        before = {identity: member.id for identity, member in manager.state.members.items() if member.id is not None}
        what = rng.choice(("remove", "remove", "rekey", "replace", "add"))
        try:
            _change(manager, rng, what, b"n%d" % step)
            done[what] = done.get(what, 0) + 1
        except UsageError as error:
            full = len(before) == places or sum(member.role == SENDER for member in members.values()) == SENDERS_MAX
            assert error.reason == E_NO_ID and full and what in ("replace", "add"), (error, what)
            done["refused"] += 1
        _check(before, manager)
    return done


def test_a_clash_keeps_nobody_in_a_full_group():
    done = search(_run, 25)
    assert min(done[what] for what in ("remove", "rekey", "replace", "add", "refused")) > 10, done
