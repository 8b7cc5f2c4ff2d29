# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""election/fenced.py: what members get from a manager that may have been superseded. The leader is a double; time is virtual."""

import asyncio

import pytest

import dice
from dice.errors import PeerError
from dicectl.errors import CommandError
from dicectl.manager.election.fenced import Alone, FencedTransport
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork, VirtualNode
from host_tests.unit.memory_registry import MemoryRegistry


class Double(Alone):
    """A leader whose answers the test chooses."""

    sends = distributes = True

    def may_send(self):
        return self.sends and not self.lost

    def may_distribute(self):
        return self.distributes and self.may_send()

    def raise_if_lost(self):
        if self.lost:
            raise CommandError(f"the manager ends, because {self.lost}")


class Town:
    """A manager of the group "lamps"."""

    def __init__(self, folder, network):
        loop = asyncio.get_running_loop()
        self.folder = folder
        self.network = network
        self.leader = Double()
        self.registry = MemoryRegistry(lambda: 1_800_000_000 + loop.time())
        self.service = ManagerService(self.registry, folder / "house.db", self.leader)
        self.service.do({"do": "new", "group": "lamps"})

    async def start(self):
        transport = FencedTransport(self.network.unicast("manager", True), self.leader.may_send)
        options = {"transport": transport, "cid_bytes": 4, "half_open_max": 64, "timer_ms": 1000}
        self.dtls = await dice.serve(0, self.service._exchanges.credentials, self.service.kdc.serve, **options)
        self.pulse = asyncio.ensure_future(self.service._pulse())

    def node(self, name):
        made = self.service.do({"do": "provision", "name": name, "groups": {"lamps": "listener"}})
        node = VirtualNode(self.network, str(self.folder), name, "lamps", made["identity"].encode(), bytes.fromhex(made["key"]))
        node.power_on()
        return node

    def counted(self, name):
        return self.network.counts.get(name, [0])[0]


def run(tmp_path, scenario):
    async def main():
        town = Town(tmp_path, network)
        await town.start()
        await scenario(town)

    network = VirtualNetwork(lambda sides: 0)
    network.run(main)


def test_no_keys_leave_and_reports_are_answered_while_it_may_be_superseded(tmp_path):
    async def scenario(town):
        old = town.node("old")
        await asyncio.sleep(30)
        assert old.member.held(1)
        town.leader.distributes = False
        new = town.node("new")
        town.service.do({"do": "rekey", "group": "lamps"})
        await asyncio.sleep(1000)
        assert new.member is None and old.member.held(2) is None, "it gave keys out"
        connected = town.service.kdc.connected
        assert old.identity in connected, "its session ended, although its reports could be answered"
        town.leader.distributes = True
        await asyncio.sleep(30)
        assert old.member.held(2), "what waited is not delivered"
        await asyncio.sleep(300)
        assert new.member.held(2)

    run(tmp_path, scenario)


def test_one_that_was_stopped_receives_and_sends_nothing(tmp_path):
    async def scenario(town):
        node = town.node("lamp")
        await asyncio.sleep(30)
        town.leader.sends = False
        before = town.counted("lamp")
        with pytest.raises(CommandError, match="asks its database whether it still leads"):
            town.service.do({"do": "rekey", "group": "lamps"})
        with pytest.raises(PeerError):
            await node.managed.report(node._peer)
        assert 0 < town.counted("lamp") - before <= 8, "not the node alone has sent"
        town.leader.sends = True
        await asyncio.sleep(60)
        town.service.do({"do": "rekey", "group": "lamps"})
        await asyncio.sleep(30)
        assert node.member.held(2)

    run(tmp_path, scenario)


def test_a_flood_does_not_hold_up_one_that_was_stopped():
    """Its event loop must go on, or it would never be awake again."""

    class Flood:
        socket = None

        def receive(self):
            return b"x" * 100, ("192.0.2.1", 1)

    fenced = FencedTransport(Flood(), lambda: False)
    assert [fenced.receive()[0] for _ in range(3)] == [b""] * 3


def test_one_that_is_superseded_stores_nothing_and_ends_audibly(tmp_path):
    async def scenario(town):
        town.node("lamp")
        await asyncio.sleep(30)

        def fence():
            town.leader.lost = "another manager has taken over"
            raise RegistryError(town.leader.lost)

        town.registry.before_write = fence
        epoch = town.service.managers["lamps"].state.epoch
        with pytest.raises(CommandError, match="taken over"):
            town.service.do({"do": "rekey", "group": "lamps"})
        assert town.service.managers["lamps"].state.epoch == epoch
        with pytest.raises(CommandError, match="the manager ends, because another manager has taken over"):
            town.service.do({"do": "groups"})
        before = town.counted("lamp")
        await asyncio.sleep(1)
        assert town.counted("lamp") == before

    run(tmp_path, scenario)


def test_a_service_whose_leader_is_lost_ends(tmp_path):
    async def scenario(town):
        forever = asyncio.get_running_loop().create_future
        for part in ("_serving", "_rekeying", "_pulsing", "_updating", "_recalling", "_revoking"):
            setattr(town.service, part, forever())
        town.leader.lost = "another manager has taken over"
        with pytest.raises(CommandError, match="the manager ends"):
            await town.service.watch(1)

    run(tmp_path, scenario)


def test_what_is_held_for_an_address_is_sent_when_it_is_released():
    class Inner:
        sent = []

        def send(self, datagram, address):
            self.sent.append((bytes(datagram), address))

    transport = FencedTransport(Inner(), lambda: True)
    first, other = ("192.0.2.1", 1), ("192.0.2.2", 1)
    held = transport.hold(first)
    for number in range(99):
        transport.send(b"%d" % number, first)
    transport.send(b"other", other)
    assert Inner.sent == [(b"other", other)]
    transport.release(other, None)
    transport.release(first, [])
    assert len(Inner.sent) == 1, "somebody else's"
    transport.release(first, held)
    assert Inner.sent[1:] == [(b"%d" % number, first) for number in range(16)], "a bounded number"
    transport.release(first, held)
    transport.send(b"later", first)
    assert Inner.sent[-1] == (b"later", first) and len(Inner.sent) == 18
