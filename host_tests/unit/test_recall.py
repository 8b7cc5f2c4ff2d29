# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""D2: a manager that was killed has its members back within seconds: its service, real sessions, a virtual network and clock."""

import asyncio
import dataclasses
import random
import socket

import pytest

import dice
from dice.dtls.kx_psk import Psk
from dice.group.presence import CONNECTED
from dicectl.manager.recall import PAUSES_S, address_of
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.sqlite import SqliteRegistry
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import MANAGER, VirtualNetwork, VirtualNode
from host_tests import seeds
from host_tests.bounds import connected_s, lossy_s

BACK_S = 10
CONNECT_S = 30  # of firmware/app, for one attempt
COUNT = 1000 if seeds.LAST else 40


class House:
    """A manager whose process can be killed, and its nodes."""

    def __init__(self, folder, loss=0, chance=None):
        self.folder = folder
        self.network = VirtualNetwork((chance or random.Random(0)).randrange, loss)
        self.service = None
        self.nodes = {}

    def run(self, scene):
        async def live():
            await self.start()
            self.service.do({"do": "new", "group": "lamps"})
            try:
                return await scene(self)
            finally:
                self.kill()

        return self.network.run(live)

    async def start(self):
        """Start the manager's process."""
        path = self.folder / "house.db"
        self.service = ManagerService(SqliteRegistry(path), path)
        await self.service.start(5684, MANAGER, 1000, self.network.host().Unicast(None, 5684))

    def kill(self):
        """End it at once: nothing is sent or stored any more."""
        for end in self.network.of(MANAGER):
            end.close()
        self.service.registry._waiting.clear()  # what is not written is lost
        self.stop()

    def stop(self):
        """End it in good order."""
        self.service.close()
        self.service.registry.close()

    async def add(self, count):
        """Provision a switch and lamps, and wait until all have joined."""
        for number in range(count):
            role = "listener" if number > 1 else "sender"
            made = self.service.do({"do": "provision", "name": f"n{number}", "groups": {"lamps": role}})
            identity, key = made["identity"].encode(), bytes.fromhex(made["key"])
            self.nodes[identity] = VirtualNode(self.network, self.folder, made["name"], "lamps", identity, key, connect_s=CONNECT_S)
        for node in self.nodes.values():
            node.power_on()
            await asyncio.sleep(0.01)
        await self.until(self.is_settled, 300)

    def is_settled(self):
        return len(self.service.kdc.connected) == len(self.nodes) and self.service.kdc.settled("lamps")

    async def until(self, reached, limit_s):
        """Wait until `reached()`; return how long that took."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not reached():
            assert loop.time() - start < limit_s, "too late"
            await asyncio.sleep(0.05)
        return loop.time() - start

    def back(self):
        """Return how many nodes have a session."""
        return len(self.service.kdc.connected)

    def epochs(self):
        """Return the epochs in which the nodes are."""
        return {node.member.held(0).epoch for node in self.nodes.values()}


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_d2_a_manager_that_starts_again_has_all_members_back(tmp_path, way):
    """They came back when their next report failed, within 8 minutes, if somebody sent sooner."""

    async def scene(house):
        await house.add(COUNT)
        for _ in range(2):
            await asyncio.sleep(200)
            getattr(house, way)()
            await asyncio.sleep(5)
            await house.start()
            print(way, await house.until(lambda: house.back() == COUNT, BACK_S))
            await asyncio.sleep(100)
            assert house.service.recall.calls <= 2 * COUNT, "who is back is not called again"

    House(tmp_path).run(scene)


@pytest.mark.parametrize("count", [1, 5, 9])
def test_d2_a_manager_that_is_killed_while_devices_join_has_all_back_that_it_has_called_connected(tmp_path, count):
    """The session of a device is stored before it is served: a device that is not called back comes with its report, in minutes."""

    async def scene(house):
        await house.add(10)
        for node in house.nodes.values():
            node.power_off()
        await asyncio.sleep(2000)
        for node in house.nodes.values():
            node.power_on()
        while house.back() < count:
            await asyncio.sleep(0.001)
        connected = set(house.service.kdc.connected)
        house.kill()
        await house.start()
        await house.until(lambda: connected <= set(house.service.kdc.connected), BACK_S)

    House(tmp_path).run(scene)


@pytest.mark.parametrize("count", [1, 5, 10])
def test_d2_a_device_that_has_a_session_can_be_called_back(tmp_path, count):
    """Its last flight is held until its session is stored: a manager that is killed at any moment afterwards finds it again."""

    def with_a_session(house):
        peers = {node.identity: node._peer for node in house.nodes.values()}
        return {identity for identity, peer in peers.items() if peer and not peer.ended}

    async def scene(house):
        await house.add(10)
        for node in house.nodes.values():
            node.power_off()
        await asyncio.sleep(2000)
        for node in house.nodes.values():
            node.power_on()
        while len(with_a_session(house)) < count:
            await asyncio.sleep(0.001)
        having = with_a_session(house)
        house.kill()
        await house.start()
        await house.until(lambda: having <= set(house.service.kdc.connected), BACK_S)

    House(tmp_path).run(scene)


def test_a_device_that_connects_anew_from_its_address_is_awake_all_the_time(tmp_path):
    """Its former session ends at once, the new one is served when it is stored: no epoch may forget the device meanwhile."""

    async def scene(house):
        await house.add(1)
        (node,) = house.nodes.values()
        kdc, states = house.service.kdc, set()
        monitor = asyncio.ensure_future(_watch(kdc, node.identity, states))
        for _ in range(3):
            client = next(iter(house.service._service.listener.sessions))
            await asyncio.sleep(30)
            connection = await dice.connect(
                ("", 0), Psk(node.identity, node._key), network=_SameAddress(house.network, client.address)
            )
            await asyncio.sleep(1)
            assert not connection.ended
        monitor.cancel()
        assert states == {(CONNECTED, True)}

    House(tmp_path).run(scene)


async def _watch(kdc, identity, states):
    while True:
        states.add((kdc.presence.state(identity), kdc.is_awake(identity)))
        await asyncio.sleep(0.001)


class _SameAddress:
    """A network whose sockets have an address that another one had."""

    def __init__(self, network, address):
        self.network = network
        self.address = address

    def Unicast(self, address, port=None):
        end = self.network.unicast("again", False)
        self.network.ends.pop(end.address)
        end.address = self.address
        self.network.ends[end.address] = end
        return end


def test_d2_a_device_is_served_though_its_session_cannot_be_stored(tmp_path, monkeypatch):
    async def scene(house):
        def fail(*_):
            raise RegistryError("disk full")

        monkeypatch.setattr(SqliteRegistry, "begin", fail)
        node = next(iter(house.nodes.values()))
        node.power_off()
        await asyncio.sleep(2000)
        node.power_on()
        await house.until(lambda: house.back() == 2, 30)

    async def add_and(house):
        await house.add(2)
        await scene(house)

    House(tmp_path).run(add_and)


def test_d2_with_losses_most_are_back_as_soon(tmp_path):
    async def scene(house):
        await house.add(COUNT)
        await asyncio.sleep(60)
        house.network.loss = 10
        house.kill()
        await asyncio.sleep(5)
        await house.start()
        took = [await house.until(lambda n=n: house.back() >= COUNT * n // 100, 90) for n in (50, 90, 95, 98, 99, 100)]
        print([sum(took[: i + 1]) for i in range(len(took))])
        print(house.service.recall.calls)

    House(tmp_path).run(scene)


def test_d2_a_device_that_no_call_reaches_is_silent_after_a_minute(tmp_path):
    """Until then it is awaited: it may be awake, with the old keys."""

    async def scene(house):
        await house.add(3)
        await asyncio.sleep(60)
        dead = list(house.nodes)[1]
        house.kill()
        house.nodes[dead].power_off()
        await house.start()
        house.service.do({"do": "rekey", "group": "lamps"})
        await asyncio.sleep(55)
        assert house.service.do({"do": "show", "group": "lamps"})["untold"] == ["n1"] and house.back() == 2
        await asyncio.sleep(15)
        shown = house.service.do({"do": "show", "group": "lamps"})
        assert shown["in_use"] and [(member["device"], member["state"]) for member in shown["away"]] == [("n1", "silent")]

    House(tmp_path).run(scene)


@pytest.mark.parametrize("loss, limit_s", [(0, connected_s), (10, lossy_s)])
def test_d2_an_expulsion_right_after_the_start_reaches_all_that_are_awake(tmp_path, loss, limit_s):
    """It was said to be done, with nobody connected, and the expelled was obeyed for 80 to 494 s."""

    async def scene(house):
        await house.add(COUNT)
        house.network.loss = loss
        house.kill()
        await asyncio.sleep(5)
        await house.start()
        await asyncio.sleep(2)
        gone = list(house.nodes)[1]
        shown = house.service.do({"do": "remove", "group": "lamps", "devices": ["n1"]})
        house.nodes.pop(gone)
        took_s = await house.until(lambda: house.epochs() == {shown["epoch"]}, limit_s(COUNT) + BACK_S)
        print(loss, took_s)
        assert all(node.member.held(shown["epoch"] - 1) is None for node in house.nodes.values()), "and reads no other"

    House(tmp_path).run(scene)


def test_a_device_that_was_deleted_or_has_left_is_not_called(tmp_path):
    """Its token is deleted with its key. Others that were away are called a few times."""

    async def scene(house):
        await house.add(4)
        wiped, left, dark, _ = house.nodes
        house.service.do({"do": "wipe", "name": "n0"})
        house.nodes[left]._peer.close()  # in good order
        await asyncio.sleep(1)
        house.nodes[left].power_off()
        rows = house.service.registry.sessions()
        assert wiped not in rows and rows[left].token == b"" and rows[left].state == "left"
        for end in house.network.of("n2"):
            end.send = end.arrive = lambda *_: None
        house.kill()
        await house.start()
        await asyncio.sleep(200)
        assert house.service.recall.calls == 1 + 1 + len(PAUSES_S)
        assert dark not in house.service.kdc.connected

    House(tmp_path).run(scene)


def test_a_token_that_was_obeyed_or_is_of_another_member_does_nothing(tmp_path):
    async def scene(house):
        await house.add(2)
        old = house.service.registry.sessions()
        house.kill()
        await house.start()
        await house.until(lambda: house.back() == 2, BACK_S)
        await asyncio.sleep(20)
        new = house.service.registry.sessions()
        assert {row.token for row in old.values()} & {row.token for row in new.values()} == set()
        one, other = new
        stranger = house.network.host("stranger").Unicast(None)
        tokens = [old[one].token, new[other].token, old[other].token, bytes(16)]
        sent = dict(house.network.counts)
        for token in tokens:
            house.network.ends[new[one].address].arrive(b"\xff" + token, stranger.address)
        await asyncio.sleep(20)
        assert house.back() == 2 and house.service.registry.sessions()[one].token == new[one].token
        assert house.network.counts == sent, "nobody said anything"

    House(tmp_path).run(scene)


def test_a_manager_that_starts_again_and_again_costs_a_device_one_handshake_a_start(tmp_path):
    """And at most 250 a second in all, by the pace. A device within a handshake at the last kill begins another one in time."""

    async def scene(house):
        await house.add(20)
        house.network.counts.clear()
        for _ in range(10):
            house.kill()
            await house.start()
            await asyncio.sleep(0.5)
        assert max(count for count, _ in house.network.counts.values()) <= 10 * 24
        await house.until(lambda: house.back() == 20, CONNECT_S + BACK_S)

    House(tmp_path).run(scene)


def test_the_address_is_that_of_the_last_record(tmp_path):
    """A member that has roamed is called where it is."""

    async def scene(house):
        await house.add(1)
        (identity,) = house.nodes
        (client,) = house.service._service.listener.sessions
        before = house.service.registry.sessions()[identity]
        client.address = "elsewhere"
        await asyncio.sleep(15)
        after = house.service.registry.sessions()[identity]
        assert (before.address, after.address, after.token) == ("n0:2", "elsewhere", before.token)

    House(tmp_path).run(scene)


def test_a_recall_survives_an_address_that_cannot_be_reached_and_a_registry_that_fails(tmp_path):
    async def scene(house):
        await house.add(2)
        rows = house.service.registry.sessions()
        first = next(iter(rows))
        house.service.registry.store_sessions({first: dataclasses.replace(rows[first], address=[1, "x"])})
        house.service.registry.flush()
        house.kill()
        await house.start()
        house.service.transport.socket.family = socket.AF_INET

        def fails(*_):
            raise RegistryError("disk full")

        house.service.registry.store_sessions = fails
        await house.until(lambda: house.back() == 1, BACK_S)
        await asyncio.sleep(60)
        assert house.back() == 1 and first not in house.service.kdc.connected
        assert house.service.recall.overrun >= 2 and "the recall of devices" in house.service.troubles()
        assert not house.service._recalling.done()

    House(tmp_path).run(scene)


@pytest.mark.parametrize(
    "stored, family, expected",
    [
        (["::ffff:10.0.0.7", 5000, 0, 0], socket.AF_INET6, ("::ffff:10.0.0.7", 5000, 0, 0)),
        (["::ffff:10.0.0.7", 5000, 0, 0], socket.AF_INET, ("10.0.0.7", 5000)),
        (["10.0.0.7", 5000], socket.AF_INET6, ("::ffff:10.0.0.7", 5000)),
        (["fe80::1%eth0", 5000, 0, 2], socket.AF_INET6, ("fe80::1%eth0", 5000, 0, 2)),
        ("n0:2", None, "n0:2"),
    ],
)
def test_an_address_is_that_of_this_computers_socket(stored, family, expected):
    """That of a standby without IPv6, too."""
    assert address_of(stored, family) == expected
