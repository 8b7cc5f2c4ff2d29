# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Costs of the manager for one member, which do not depend on how many there are. Counted are function calls, not time."""

import asyncio
import itertools
import os
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.coap.codes import CHANGED, CREATED, POST
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dice.limits import DELIVERY_PACE_MS, EXPEL_PACE_MS
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.net.virtual import VirtualNetwork

ANSWER_S = 0.3
POLL_S = 0.05
MEMBERS = [b"switch"] + [b"lamp-%d" % number for number in range(2000)]


class Calls:
    """Counts the functions that are called inside `with`, those written in C as well. Their loops count as one."""

    def __enter__(self):
        self.count = Counter()
        sys.setprofile(lambda frame, event, arg: self.count.update([event]))
        return self

    def __exit__(self, *_):
        sys.setprofile(None)
        self.total = self.count["call"] + self.count["c_call"]


def group(count, commit=lambda state, change: None):
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), commit, os.urandom, now())
    manager.add([MEMBERS[0]], SENDER, now())
    manager.add(MEMBERS[1:count], LISTENER, now())
    return manager


def costs(count):
    """Return {what: number of calls} of a manager with so many members."""

    async def main():
        manager = group(count)
        kdc = Kdc()
        kdc.add(manager)
        routes = kdc._deliveries["lamps"].routes
        found = {}
        manager.acknowledge(MEMBERS[0], 1, now())
        manager.report(MEMBERS[0], 1, 5, False, now())
        for what, call in (
            ("join", lambda: routes["ace-group/lamps"][POST](None, MEMBERS[1])),
            ("acknowledgement", lambda: manager.acknowledge(MEMBERS[1], 1, now())),
            ("report", lambda: manager.report(MEMBERS[2], 1, 0, False, now(), 0, True)),
            ("entered", lambda: manager.entered(MEMBERS[1], 1)),
            ("deadline", manager.deadline),
            ("timeout", lambda: manager.timeout(now())),
            ("new session", lambda: kdc._deliveries["lamps"].reconnected(MEMBERS[3])),
        ):
            with Calls() as calls:
                result = call()
            assert what != "join" or result[0] == CREATED
            found[what] = calls.total
        kdc.close()
        return found

    return asyncio.run(main())


def test_costs_do_not_grow_with_the_number_of_members():
    few, many = costs(10), costs(len(MEMBERS))
    for what, count in few.items():
        assert many[what] <= 1.1 * count + 3, (what, few, many)


@pytest.mark.parametrize("count", [10, 1000])
def test_an_acknowledgement_stores_one_row(tmp_path, count):
    async def main():
        registry = SqliteRegistry(tmp_path / f"{count}.db")
        registry.create(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), 0)
        changes = []
        manager = Manager(registry.states()[0].state, lambda state, change: changes.append(change), os.urandom, now())
        manager.add([MEMBERS[0]], SENDER, now())
        manager.add(MEMBERS[1:count], LISTENER, now())
        changes.clear()
        state, record = manager.state, manager.state.members[MEMBERS[1]]
        manager.acknowledge(MEMBERS[1], 1, now())
        (change,) = changes
        assert list(change.members) == [MEMBERS[1]] and change.fields == {}
        assert manager.state is state and record.held == 0 and state.members[MEMBERS[1]].held == 1, "a record never changes"
        registry.close()

    asyncio.run(main())


class Member:
    """A connected member that answers after a while; `asked` has when."""

    def __init__(self, asked, answers=True):
        self.asked = asked
        self.answers = answers

    async def request(self, code, path, payload):
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(ANSWER_S if self.answers else 90)
        return SimpleNamespace(code=CHANGED, payload=b"") if self.answers else None


def delivered(count, change, silent=0):
    """Return (seconds until all that answer have entered the epoch after `change(manager)`, times of requests), in virtual time."""
    network = VirtualNetwork(lambda sides: 0, 0)

    async def main():
        manager = group(count)
        kdc = Kdc()
        asked = []
        for number, identity in enumerate(MEMBERS[:count]):
            kdc.connected[identity] = Member(asked, number == 0 or number > silent)
            kdc.presence.connected(identity, now())
        kdc.add(manager)
        for identity in MEMBERS[:count]:
            manager.acknowledge(identity, 1, now())
            manager.entered(identity, 1)
        await asyncio.sleep(10)
        asked.clear()
        start = asyncio.get_running_loop().time()
        change(manager)
        kdc.changed("lamps")
        quiet = set(MEMBERS[1 : 1 + silent])
        while set(manager.not_activated) - quiet:
            await asyncio.sleep(POLL_S)
        kdc.close()
        return asyncio.get_running_loop().time() - start, [at - start for at in asked]

    return network.run(main)


def test_a_rekey_takes_as_long_as_its_pace():
    seconds, asked = delivered(200, lambda manager: manager.rekey(now()))
    assert abs(seconds - 2 * 200 * DELIVERY_PACE_MS / 1000) < 1
    early = [b - a for a, b in itertools.pairwise(asked) if b - a < DELIVERY_PACE_MS / 1000 - 0.001]
    assert len(asked) == 400 and len(early) <= 1, "the epoch may become active between two deliveries"


def test_an_expulsion_is_in_use_within_its_bound_also_if_members_are_silent():
    for silent in (0, 50):
        seconds, _ = delivered(500, lambda manager: manager.remove([MEMBERS[499]], now()), silent)
        bound = 5 + 2 * 500 * EXPEL_PACE_MS / 1000 + ANSWER_S + 2 * POLL_S
        assert seconds <= bound and (silent or seconds < 2), (silent, seconds)
