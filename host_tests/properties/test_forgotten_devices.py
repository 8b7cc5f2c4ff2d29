# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager forgets a device that is deleted, and keeps no more of one that connects often: it runs for years.

Nodes of the present and of an older program come and go in virtual time; members of a group are added and expelled.
"""

import asyncio
import os
import random
from types import SimpleNamespace

from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.coap.codes import CHANGED
from dice.group.gsa import K08
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork
from host_tests.seeds import search
from host_tests.unit.test_device_updates import OTHER, run


def timers():
    """Return how many timers wait for the end of a device's rest."""
    calls = [call for _, _, call in asyncio.get_running_loop()._scheduled]
    return sum(getattr(call._callback, "__name__", "") == "_is_due" for call in calls)  # one that was cancelled has none


def test_sessions_leave_no_timers_and_wiped_devices_nothing(tmp_path):
    """Each session of a device with an older program left a timer of a day, which began again; a wiped one left its refusal."""

    def play(seed):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        return run(folder, lambda town: _come_and_go(town, rng), rng=rng)

    done = search(play, 2)
    assert done["refused"] > 20 and done["wiped"] > 10 and done["resting"] > 20


async def _come_and_go(town, rng):
    done = {"refused": 0, "wiped": 0, "resting": 0}
    updates = town.service.updates
    town.do("set_managers", managers=[town.service.address, OTHER])
    for number in range(60):
        if len(town.nodes) < 3:
            node = town.add(f"lamp-{number}")
            node.routes = rng.choice(({}, {}, None))  # of an older program, or not
            town.do("rotate", names=[node.name])
        await asyncio.sleep(rng.random() * rng.choice((1, 100, 1000)))
        done["refused"] += len(updates.refused)
        done["resting"] += timers()
        node = rng.choice(list(town.nodes.values()))
        what = rng.choice(("connect", "connect", "connect", "rotate", "plan", "wipe"))
        await _act(town, node, what)
        done["wiped"] += what == "wipe"
        known = {node.identity for node in town.nodes.values()}
        tables = (updates.told, updates.refused, updates._due, updates._pushes, updates._rests, updates._alarms)
        assert all(known.issuperset(table) for table in tables), f"{what} has left what nobody needs"
        assert timers() <= len(town.service.kdc.connected), f"{timers()} timers"
    return done


async def _act(town, node, what):
    updates = town.service.updates
    if what == "rotate":
        town.do("rotate", names=[node.name])
    elif what == "plan":
        before = dict(updates.refused), dict(updates._rests), timers()
        town.do("wipe", name=node.name, dry_run=True)
        assert (updates.refused, updates._rests, timers()) == before, "a dry run has forgotten something"
    elif what == "connect":
        if node.coap:
            node.coap.close()
        node.cut()
        node.power_on()
    else:
        node.cut()
        town.do("wipe", name=node.name)
        del town.nodes[node.name]
        await asyncio.sleep(1)  # the push that was under way ends


class _Member:
    """A member that installs each GSA, and enters each epoch, at once."""

    async def request(self, code, path, payload):
        await asyncio.sleep(0.1)
        return SimpleNamespace(code=CHANGED, payload=b"")


def test_expelled_members_leave_nothing_in_the_manager_of_their_group():
    """All that were ever expelled were still noted as having entered an epoch, and as having been sent one."""

    async def live(rng):
        manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now())
        kdc = Kdc()
        kdc.add(manager)
        delivery = kdc._deliveries["lamps"]
        most = entered = 0
        for number in range(40):
            identity = b"device-%d" % number
            kdc.connected[identity] = _Member()
            manager.add([identity], rng.choice((SENDER, ANSWERING, LISTENER)), now())
            if rng.random() < 0.7 and len(manager.state.members) > 3:
                gone = rng.choice(list(manager.state.members))
                manager.remove([gone], now())
                kdc.connected.pop(gone)
            kdc.changed("lamps")
            await asyncio.sleep(rng.choice((0, 1, 100)))
            assert manager.progress.entered.keys() <= manager.state.members.keys()
            most, entered = max(most, len(delivery._epochs)), max(entered, len(manager.progress.entered))
        assert len(delivery._epochs) <= len(manager.state.members) + 1, "deliveries to members that were expelled are noted"
        kdc.close()
        return {"most": most, "entered": entered}

    done = search(lambda seed: VirtualNetwork(lambda sides: 0).run(live, random.Random(seed)), 3)
    assert done["most"] > 10 and done["entered"] > 10
