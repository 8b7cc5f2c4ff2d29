# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Exceptions at random moments and places end nothing: afterwards all members have the present keys and talk (invariant 6).

A real manager and real members in virtual time. For some minutes transports, the registry and the look-up of keys raise, each
now and then; groups get new keys meanwhile. Then nothing raises any more.
"""

import asyncio
import random

import pytest

import dice
from dice.errors import DiceError
from dicectl.errors import CommandError
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork, VirtualNode, VirtualSocket
from host_tests.seeds import seeds
from host_tests.unit.memory_registry import MemoryRegistry

ANY = (OSError, MemoryError, ValueError, KeyError, TypeError, AttributeError, UnicodeError, RuntimeError, ZeroDivisionError)
FAULTS_S, QUIET_S = 400, 1800


class Faults:
    """Raises now and then, as long as it is `on`."""

    def __init__(self, chance):
        self.on = False
        self.raised = 0
        self._chance = chance

    def maybe(self, kinds, one_in):
        if self.on and not self._chance.randrange(one_in):
            self.raised += 1
            raise self._chance.choice(kinds)("made up")

    def wrapped(self, function, kinds, one_in):
        """Return a function that may raise before it calls `function`."""

        def call(*arguments, **options):
            self.maybe(kinds, one_in)
            return function(*arguments, **options)

        return call


class Town:
    """A manager, a sender and two listeners."""

    def __init__(self, folder, network, faults):
        loop = asyncio.get_running_loop()
        self.faults = faults
        registry = MemoryRegistry(lambda: 1_800_000_000 + loop.time())
        registry.before_write = lambda: faults.maybe((RegistryError, MemoryError), 5)
        registry.find = faults.wrapped(registry.find, ANY, 4)
        self.service = ManagerService(registry, folder / "house.db")
        self.service.do({"do": "new", "group": "lamps", "rekey_s": 120})
        self.nodes = []
        for name, role in (("desk", "sender"), ("lamp-1", "listener"), ("lamp-2", "answering")):
            made = self.service.do({"do": "provision", "name": name, "groups": {"lamps": role}})
            key = bytes.fromhex(made["key"])
            self.nodes.append(VirtualNode(network, str(folder), name, "lamps", made["identity"].encode(), key))
        self._network = network
        self.tasks = []

    async def start(self):
        host = self._network.host()
        options = {"network": host, "cid_bytes": 4, "half_open_max": 64, "timer_ms": 1000}
        self.dtls = await dice.serve(0, self.service._exchanges.credentials, self.service.kdc.serve, **options)
        self.tasks = [asyncio.ensure_future(work) for work in (self.dtls.wait_closed(), self.service.rekey_when_due())]
        for node in self.nodes:
            node.power_on()

    async def say(self, message):
        try:
            await self.nodes[0].send(message)
        except (DiceError, OSError, AttributeError):
            pass  # not joined at this moment, or the network refuses

    def do(self, request):
        try:
            return self.service.do(request)
        except (CommandError, MemoryError):  # of the registry; manager.control answers both
            return None

    def stop(self):
        for task in self.tasks:
            task.cancel()
        for node in self.nodes:
            node.power_off()
        self.service.kdc.close()


async def live(folder, network, chance, monkeypatch):
    faults = Faults(chance)
    town = Town(folder, network, faults)
    receive, send = VirtualSocket.receive, VirtualSocket.send
    monkeypatch.setattr(VirtualSocket, "receive", lambda end: (faults.maybe(ANY, 8), receive(end))[1])
    monkeypatch.setattr(VirtualSocket, "send", lambda end, *what: (faults.maybe((OSError,), 10), send(end, *what))[1])
    await town.start()
    await asyncio.sleep(30)
    faults.on = True
    for number in range(FAULTS_S // 10):
        await asyncio.sleep(10)
        await town.say(b"%d" % number)
        if not chance.randrange(8):
            town.do({"do": "rekey", "group": "lamps"})
    faults.on = False
    assert faults.raised > 50
    town.service.rekey_s["lamps"] = 0
    await asyncio.sleep(QUIET_S)
    assert not any(task.done() for task in town.tasks), town.tasks
    shown = town.service.do({"do": "show", "group": "lamps"})
    assert shown["active"] and shown["settled"], shown
    for node in town.nodes:
        assert node.member and node.member.held(shown["epoch"]), node.name
        node.received.clear()
    for message in (b"is anybody there?", b"answer!"):  # the first one is dropped if its freshness is unknown
        await town.nodes[0].send(message)
        await asyncio.sleep(1)
    for node in town.nodes[1:]:
        assert b"answer!" in [message for _, _, message in node.received], (node.name, node.member.dropped)
    town.stop()


def test_exceptions_at_random_moments_end_nothing(tmp_path):
    for seed in seeds(6):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        network = VirtualNetwork(chance.randrange)
        with pytest.MonkeyPatch.context() as monkeypatch:
            try:
                network.run(live, folder, network, chance, monkeypatch)
            except Exception as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
