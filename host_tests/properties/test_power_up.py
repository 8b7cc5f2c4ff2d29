# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A building powers up in any order: a node is at work within a minute of the last thing that it needs (invariant 7).

firmware/app with the real library, a real group manager and a switch, in virtual time. The access point, the interface, the route,
the name server, the manager and the power go away and return at random; the wall clock jumps. Doubles: the driver of Wi-Fi, and the
name server. DICE_SEEDS=1000 tries more.
"""

import asyncio
import os
import random
import time
import types

from dicectl import resources
from host_tests.seeds import search
from host_tests.unit.test_app import app  # noqa: F401 - a fixture
from host_tests.unit.test_app_names import ADDRESS, NameServer
from host_tests.unit.test_app_network import Wlan
from host_tests.unit.virtual_house import House

THINGS = ("access point", "interface", "route", "name server", "manager", "power")
NETWORK = ("access point", "interface", "route", "power")  # what groups need, once the node has their keys
MINUTE_S = 60
NAME = "board"
assert resources.APP


class World:
    """The surroundings of a board; `there` has what is not away."""

    def __init__(self, load, house, chance):
        self.there = set(THINGS)
        self.house = house
        self.wlan = Wlan(reconnects=chance.random() < 0.5)
        self.wlan.seconds = chance.uniform(1, 6)
        self.names = NameServer([ADDRESS])
        self._load = load
        self._task = None
        self._groups = []  # transports of the board
        self.node = None
        self.lit = []
        house.network.cut = self

    def __and__(self, nodes):
        """Return those of `nodes` that can neither send nor receive: what VirtualNetwork asks."""
        away = {NAME: not self.online(), "manager": "manager" not in self.there}
        return {node for node in nodes if away.get(node)}

    def online(self):
        return "interface" in self.there and self.wlan.isconnected()

    def change(self, thing, there):
        """Let a thing go away, or return."""
        (self.there.add if there else self.there.discard)(thing)
        if thing == "access point":
            self.wlan.access_point = there
            if not there:
                self.wlan.lose()
        if thing == "name server":
            self.names.there = there
        if thing == "power":
            self._power_on() if there else self._power_off()
        if not there and thing in NETWORK:
            for transport in self._groups:
                transport.leave()

    def Unicast(self, address, port=None):
        if not self.online():
            raise OSError(101)
        return self.house.network.host(NAME).Unicast(address, port)

    def Multicast(self, address, port):
        transport = Membership(self, self.house.network.multicast(NAME, (bytes(address), port)))
        transport.leave()
        transport.renew()
        self._groups.append(transport)
        return transport

    def _power_on(self):
        node, link, names = (self._load(name) for name in ("node", "link", "names"))
        names.socket = self.names
        link._station = lambda options: self.wlan
        settings = {"identity": NAME, "key": self.house.keys[NAME.encode()].hex(), "groups": ["lamps"]}
        settings["manager"] = {"host": "manager.house", "port": 5684}
        self.wlan.active(False)
        link._connect(self.wlan, False)
        self.node = node.Node(
            settings,
            {"publish_s": 0},
            lambda: b"1",
            self.lit.append,
            lambda word: None,
            self,
            lambda: link.ready({}),
            lambda host: link.look_up({}, host),
            lambda reached, changed: link.keep({}, reached, changed),
        )
        self._task = asyncio.ensure_future(self.node.run())

    def _power_off(self):
        if self._task:
            assert not self._task.done(), self._task
            self._task.cancel()
            for task in self.node._tasks.values():
                task.cancel()
            for end in self.house.network.of(NAME):
                end.close()
            for managed in self.node.groups.values():
                if managed.group:
                    managed.group.member.counters = None  # nothing is written any more
                managed.leave()
            if self.node.manager:
                self.node.manager.close()
        self._task = None
        self._groups.clear()
        self.wlan.active(False)


class Membership:
    """A group's transport of the board: its membership ends with the interface and the route, and has to be renewed."""

    def __init__(self, world, end):
        self._world = world
        self._end = end
        self._members = end._members
        self.socket = end
        self.receive = end.receive
        self.source = None
        self.close = end.close

    def leave(self):
        if self._end in self._members:
            self._members.remove(self._end)

    def _check(self):
        if "route" not in self._world.there or not self._world.online():
            raise OSError(19)

    def renew(self):
        self._check()
        if self._end not in self._members and not self._end.closed:
            self._members.append(self._end)

    def send(self, datagram):
        self._check()
        self._end.send(datagram)

    def answer(self, datagram, source):
        pass


def _schedule(chance):
    """Return [(seconds, thing, whether it is there)] in order, with each thing away at first, and there at the end."""
    events = []
    for thing in THINGS:
        at = chance.choice([0, chance.uniform(0, 30), chance.expovariate(1 / 600)])
        events.append((at, thing, True))
        for _ in range(chance.choice([0, 0, 1, 3])):  # it flickers
            away = at + chance.expovariate(1 / 60)
            at = away + chance.choice([chance.uniform(0.1, 3), chance.expovariate(1 / 120)])
            events += [(away, thing, False), (at, thing, True)]
    return sorted(events)


def power_up(load, folder, seed):
    """Run one schedule; return what happened."""
    chance = random.Random(seed)
    os.makedirs(folder)
    os.chdir(folder)
    with open("wifi.json", "w") as file:
        file.write('{"ssid": "house", "password": "x"}')
    house = House(folder, {"switch": "sender"})
    done = {"runs": 1, "with keys": 0, "last": 0}

    async def scenario(house):
        loop = asyncio.get_running_loop()
        house.keys[NAME.encode()] = os.urandom(16)
        house.manager.add([NAME.encode()], "listener", _now(loop))
        house.kdc.changed("lamps")
        world = World(load, house, chance)
        if chance.random() < 0.6:  # it has been at work before
            done["with keys"] = 1
            world.change("power", True)
            await asyncio.sleep(60)
            assert os.path.exists("lamps.gsa")
        for thing in THINGS:
            world.change(thing, False)
        begun = loop.time()
        last = {}
        task = asyncio.ensure_future(_press(house))
        for at, thing, there in _schedule(chance):
            await asyncio.sleep(max(0, begun + at - loop.time()))
            world.change(thing, there)
            last[thing] = loop.time()
        for needed, work in ((NETWORK if done["with keys"] else THINGS, _lit), (THINGS, _connected)):
            since = max(last[thing] for thing in needed)
            await asyncio.sleep(max(0.0, since + MINUTE_S - loop.time()))
            assert await work(world), f"{work.__name__} after {loop.time() - since:.0f} s; last {last}"
        task.cancel()
        world.change("power", False)

    house.run(scenario)
    return done


def _now(loop):
    return int(loop.time() * 1000)


async def _press(house):
    """Press the switch every second."""
    while True:
        await house.say("switch", b"on")
        await asyncio.sleep(0.9)


async def _lit(world):
    count = len(world.lit)
    await asyncio.sleep(2)
    return len(world.lit) > count


async def _connected(world):
    return world.node.manager is not None and not world.node.manager.ended and await _lit(world)


def test_a_node_is_at_work_within_a_minute_of_the_last_thing_that_it_needs(app, tmp_path, monkeypatch):  # noqa: F811
    wall = types.SimpleNamespace(**{name: getattr(time, name) for name in dir(time) if not name.startswith("__")})
    jumps = random.Random(1)
    wall.time = lambda: jumps.uniform(0, 2e9)
    monkeypatch.setattr("dice.store.time", wall, raising=False)
    done = search(lambda seed: power_up(app, tmp_path / str(seed), seed), 10)
    assert 0 < done["with keys"] < done["runs"]
