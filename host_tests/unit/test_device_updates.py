# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/device_updates.py with the nodes' own firmware/app/managers.py, in virtual time: new keys and lists of managers.

The search cuts the power of nodes, kills the manager, loses datagrams and lets the registry fail, at any moment.
"""

import asyncio
import json
import random

import pytest

import dice
from dice.aio.coap import Coap
from dice.coap.codes import GET, PUT
from dice.coap.resource import Router
from dice.errors import DiceError, PeerError
from dice.group.presence import CONNECTED, SILENT
from dicectl.errors import CommandError
from dicectl.manager.election.fenced import FencedTransport
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.psk_identity import split
from dicectl.manager.service import ManagerService
from dicectl.member.node_file import managers as managers_of
from dicectl.net.virtual import VirtualNetwork
from host_tests.seeds import search
from host_tests.unit.memory_registry import MemoryRegistry

OTHER = {"host": "b.house", "port": 5684}


class Node:
    """A node of which only its sessions with the manager are of interest; its file survives power cuts."""

    def __init__(self, town, settings):
        self.town = town
        self.name = settings["name"]
        self.identity = settings["identity"].encode()
        self.folder = town.folder / self.name
        self.folder.mkdir()
        self.path = self.folder / "node.json"
        self.path.write_text(json.dumps(settings))
        self.task = self.coap = None
        self.routes = None  # in place of those of Managers

    def power_on(self):
        self.task = asyncio.ensure_future(self._live())

    def cut(self):
        self.task.cancel()
        for end in self.town.network.of(self.name):
            end.close()

    async def _live(self):
        managers = managers_of(self.folder, json.loads(self.path.read_text()))
        while True:
            try:
                connection = await managers.connect(self.town.network.host(self.name))
                self.coap = Coap(connection, Router(managers.routes if self.routes is None else self.routes))
                await self._stay(self.coap)
            except (DiceError, OSError):
                pass
            if self.coap:
                self.coap.close()
            await asyncio.sleep(5)

    async def _stay(self, coap):
        """Stay until the session ends; ask something each 100 s, as members report: a close_notify may be lost."""
        ended = asyncio.ensure_future(coap.closed())
        while not (await asyncio.wait({ended}, timeout=100))[0]:
            if await coap.request(GET, "ace-group/none") is None:
                return

    @property
    def stored(self):
        return json.loads(self.path.read_text())


class Town:
    """A manager and its nodes."""

    def __init__(self, folder, network):
        loop = asyncio.get_running_loop()
        self.folder = folder
        self.network = network
        self.registry = MemoryRegistry(lambda: 1_800_000_000 + loop.time())
        self.service = self.dtls = self.tasks = None
        self.nodes = {}

    async def start(self):
        """Start the manager's process, also after kill()."""
        self.registry.opened()
        self.service = ManagerService(self.registry, self.folder / "house.db")
        self.service.address = {"host": "a.house", "port": 5684}
        self.service.transport = FencedTransport(self.network.unicast("manager", True), lambda: True)
        options = {"transport": self.service.transport, "cid_bytes": 4, "half_open_max": 64, "timer_ms": 1000}
        self.dtls = await dice.serve(0, self.service._exchanges.credentials, self.service.recall.serve, **options)
        self.service._service = self.dtls
        self.dtls.listener.established = self.service.recall.hold
        self.tasks = [asyncio.ensure_future(self.service.updates.run()), asyncio.ensure_future(self.dtls.wait_closed())]

    def kill(self):
        """Nothing is said to anybody."""
        for end in self.network.of("manager"):
            end.close()
        for task in self.tasks:
            task.cancel()
        self.service.updates.close()
        self.service.kdc.close()
        self.dtls.close()

    def do(self, do, **request):
        return self.service.do({"do": do, **request})

    def add(self, name):
        self.nodes[name] = node = Node(self, self.do("provision", name=name, groups={}))
        node.power_on()
        return node


def run(tmp_path, scenario, loss=0, rng=None):
    async def main():
        town = Town(tmp_path, network)
        await town.start()
        return await scenario(town)

    network = VirtualNetwork(rng.randrange if rng else lambda sides: 0, loss)
    return network.run(main)


def test_a_key_is_changed_when_a_session_has_proved_the_new_one(tmp_path):
    async def scenario(town):
        node = town.add("lamp")
        old = node.stored["key"]
        await asyncio.sleep(5)
        numbers = town.do("rotate", names=["lamp"])
        assert numbers == {"lamp": 1} and town.do("rotation", numbers=numbers) == {"lamp": "it is under way"}
        assert town.do("rotate", names=["lamp"]) == numbers, "a change that is under way was begun again"
        session = node.coap
        await asyncio.sleep(20)
        assert town.do("rotation", numbers=numbers) == {} and session.ended
        stored = node.stored
        assert stored["identity"] == node.identity.decode() + ":1" and stored["key"] != old and "next" not in stored
        assert town.registry.find(node.identity) is None, "the old key is still good"
        assert town.registry.find(stored["identity"].encode()) == bytes.fromhex(stored["key"])
        assert node.identity in town.service.kdc.connected
        events = [(entry["event"], entry["device"], entry.get("key")) for entry in town.registry.audit() if "key" in entry["event"]]
        assert events == [("key-offered", "lamp", 1), ("key-changed", "lamp", 1)]
        assert stored["key"] not in str(town.registry.audit())

    run(tmp_path, scenario)


def test_nothing_is_said_to_be_done_for_a_node_that_is_away(tmp_path):
    async def scenario(town):
        node = town.add("lamp")
        await asyncio.sleep(5)
        node.cut()
        await asyncio.sleep(2000)
        numbers = town.do("rotate", names=list(town.registry.devices()))
        await asyncio.sleep(1000)
        assert town.do("rotation", numbers=numbers) == {"lamp": "it has no session; it follows when it connects"}
        assert town.registry.find(node.identity) and town.registry.find(node.identity + b":1"), "both keys are good meanwhile"
        node.power_on()
        await asyncio.sleep(60)
        assert town.do("rotation", numbers=numbers) == {}
        town.do("rotate", names=list(town.registry.devices()))
        town.do("wipe", name="lamp")
        assert town.do("rotation", numbers=numbers) == {"lamp": "it was deleted"}
        for number in (b"", b":1", b":2"):
            assert town.registry.find(node.identity + number) is None

    run(tmp_path, scenario)


def test_a_node_that_does_not_answer_is_silent_and_keeps_its_session(tmp_path):
    """An operator wants to know of a node that is silent, not of one that has left; this one is cut off for a few minutes."""

    async def scenario(town):
        node = town.add("lamp")
        await asyncio.sleep(105)
        session = node.coap
        town.network.loss = 100
        town.do("set_managers", managers=[town.service.address, OTHER])
        await asyncio.sleep(110)
        assert town.service.kdc.presence.state(node.identity) == SILENT
        town.network.loss = 0
        await asyncio.sleep(200)
        assert town.service.kdc.presence.state(node.identity) == CONNECTED
        assert node.coap is session and node.stored["managers"] == [town.service.address, OTHER]

    run(tmp_path, scenario)


def test_sessions_of_the_old_key_end_with_it(tmp_path):
    """Somebody who has copied the old key keeps neither a session nor a ticket."""

    async def scenario(town):
        node = town.add("lamp")
        await asyncio.sleep(5)
        psk = dice.Psk(node.identity, bytes.fromhex(node.stored["key"]))
        thief = await dice.connect(("", 0), psk, network=town.network.host("thief"), timer_ms=1000, tickets=True)
        ticket = thief.session.resumption()
        town.thief = Coap(thief, Router({}))
        await asyncio.sleep(20)
        numbers = town.do("rotate", names=list(town.registry.devices()))
        await asyncio.sleep(100)
        assert town.do("rotation", numbers=numbers) == {}
        assert thief.ended
        for options in ({}, {"resume": ticket}):
            with pytest.raises(PeerError):
                await dice.connect(("", 0), psk, network=town.network.host("thief"), timer_ms=1000, timeout_s=30, **options)

    run(tmp_path, scenario)


def test_a_node_of_an_older_program_is_named(tmp_path):
    async def scenario(town):
        node = town.add("lamp")
        node.routes = {}
        await asyncio.sleep(5)
        numbers = town.do("rotate", names=list(town.registry.devices()))
        await asyncio.sleep(10)
        assert town.do("rotation", numbers=numbers) == {"lamp": "its program is too old for that"}
        await asyncio.sleep(600)
        assert town.network.counts["lamp"][0] < 100, "it is asked over and over"
        assert town.registry.find(node.identity)

    run(tmp_path, scenario)


def test_a_push_that_fails_is_tried_again_and_is_shown(tmp_path):
    async def scenario(town):
        node = town.add("lamp")
        answers = [ValueError("x")]

        def put(request, session):
            if answers:
                raise answers.pop()
            return managers[PUT](request, session)

        await asyncio.sleep(5)
        managers = managers_of(node.folder, node.stored).routes["dice/managers"]
        node.coap.endpoint._handler = None
        node.routes = {"dice/managers": {PUT: put}}
        node.coap.close()
        await asyncio.sleep(10)
        town.do("set_managers", managers=[OTHER])
        await asyncio.sleep(10)
        assert town.do("managers")["behind"] == {"lamp": "it has answered 5.00"}
        await asyncio.sleep(70)
        assert town.do("managers")["behind"] == {} and node.stored["managers"] == [OTHER]
        town.registry.next_key = lambda identity: 1 / 0
        town.service.updates.changed([node.identity])
        await asyncio.sleep(100)
        assert isinstance(town.service.updates.error, ZeroDivisionError) and not town.tasks[0].done()
        assert "a key or the managers of a device" in town.service.troubles()

    run(tmp_path, scenario)


def test_the_list_of_managers_reaches_who_is_there_and_who_comes_later(tmp_path):
    async def scenario(town):
        near, far = town.add("near"), town.add("far")
        await asyncio.sleep(5)
        far.cut()
        await asyncio.sleep(2000)
        here = town.service.address
        town.do("set_managers", managers=[here, OTHER])
        await asyncio.sleep(200)
        assert town.do("managers")["behind"] == {"far": "it has no session; it follows when it connects"}
        assert near.stored["managers"] == [here, OTHER]
        far.power_on()
        await asyncio.sleep(60)
        assert far.stored["managers"] == [here, OTHER] and town.do("managers")["behind"] == {}
        new = town.add("new")
        assert new.stored["managers"] == [here, OTHER] and new.stored["manager"] == here
        for wrong in ([], [here] * 2, [{"host": "", "port": 1}], [{"host": f"{n}.house", "port": 1} for n in range(9)]):
            with pytest.raises(CommandError):
                town.do("set_managers", managers=wrong)

    run(tmp_path, scenario)


def test_the_list_grows_at_starts_as_far_as_devices_take_it(tmp_path):
    """It grew at each start with another address, without bound: devices refuse more than 8 managers."""

    async def scenario(town):
        for number in range(12):
            town.service.address = {"host": f"{number}.house", "port": 5684}
            town.service.updates.also = [OTHER]
            town.service.updates.begin()
            listed = town.do("managers")["list"]
            assert len(listed) <= 8 and OTHER in listed
        assert len(listed) == 8 and town.service.address not in listed
        (problem,) = town.service.problems()
        assert "this list has 9" in problem and "dicectl manager addresses --set" in problem
        town.do("set_managers", managers=[town.service.address, OTHER])
        assert town.service.problems() == []

    run(tmp_path, scenario)


def test_identities_of_keys():
    for psk in (b"ab", b"ab:07", b"ab:", b"ab:-1", b"ab:\xb2", b"ab:1 ", b":"):
        assert split(psk) == (psk, 0)
    assert split(b"ab:7") == (b"ab", 7) and split(b":1") == (b"", 1) and split(b"a:1:2") == (b"a:1", 2)


def test_no_schedule_of_cuts_kills_and_losses_locks_a_node_out(tmp_path):
    def play(seed):
        rng = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        return run(folder, lambda town: _trouble(town, rng), loss=rng.choice((0, 10)), rng=rng)

    done = search(play, 6)
    assert done["changed"] > 10 and done["cut"] > 10 and done["killed"] > 5


async def _trouble(town, rng):
    done = {"changed": 0, "cut": 0, "killed": 0, "failed": 0}
    for number in range(4):
        town.add(f"lamp-{number}")
    town.registry.before_write = lambda: failing and rng.randrange(4) == 0 and _fail(done)
    for _ in range(40):
        failing = True
        what = rng.choice(("rotate", "rotate", "cut", "kill", "managers", "wait"))
        try:
            if what == "rotate":
                town.do("rotate", names=[rng.choice(list(town.nodes))])
            elif what == "managers":
                town.do("set_managers", managers=rng.sample([town.service.address, OTHER, {"host": "c", "port": 1}], 2))
        except CommandError:
            pass  # the registry has failed
        if what == "cut":
            done["cut"] += 1
            node = rng.choice(list(town.nodes.values()))
            node.cut()
            await asyncio.sleep(rng.random() * 2)
            node.power_on()
        elif what == "kill":
            done["killed"] += 1
            failing = False
            town.kill()
            await asyncio.sleep(rng.random() * 2)
            await town.start()
        await asyncio.sleep(rng.random() * rng.choice((0.1, 1, 30)))
    failing = False
    await asyncio.sleep(1300)
    for node in town.nodes.values():  # those that were asleep in their back-off, or had a session with a manager that was killed
        node.cut()
        node.power_on()
    await asyncio.sleep(400)
    connected = town.service.kdc.connected
    assert set(connected) == {node.identity for node in town.nodes.values()}, f"{len(connected)} of {len(town.nodes)} are back"
    for node in town.nodes.values():
        assert town.registry.next_key(node.identity) is None and "next" not in node.stored, "a change has not ended"
        number = town.registry.key_number(node.identity)
        done["changed"] += number
        good = [n for n in range(number + 2) if town.registry.find(node.identity + (b":%d" % n if n else b""))]
        assert good == [number], "a key that was replaced is still good"
    return done


def _fail(done):
    done["failed"] += 1
    raise RegistryError("disk I/O error")
