# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The tasks of firmware/app survive their sensor, their light, their network and a lack of memory (invariant 6)."""

import asyncio
import json
import sys
import types

import pytest

from dice.errors import LimitError, PeerError
from dicectl.net.virtual import Loop
from host_tests.unit.test_app import FakeManagedGroup, FakeManagerSession, app  # noqa: F401 - a fixture

ONCE = [OSError(5), PeerError(None, 51), MemoryError(), ValueError("x"), KeyError("x")]
PASSING = ONCE[:3]
OF_CALLBACKS = [*ONCE, asyncio.CancelledError()]  # a callback is a boundary: not even this one ends a task


class Group:
    """A double of dice.aio.group.Group: `events` are messages, and exceptions that the iteration raises."""

    def __init__(self):
        self.events = []
        self.sent = []
        self.changed = asyncio.Event()
        self.asked = ()
        self.error = None

    def put(self, event):
        self.events.append(event)
        self.changed.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.events:
            self.changed.clear()
            await self.changed.wait()
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return 1, event

    async def send(self, message):
        self.sent.append(message)

    def close(self):
        pass


class Managed(FakeManagedGroup):
    """A double of a managed group that has a group from the start."""

    def __init__(self, **trouble):
        super().__init__(**trouble)
        self.group = Group()
        self.left = 0

    async def resume(self):
        await super().resume()
        self.group = self.group or Group()
        return self.group

    async def join(self, peer):
        return await self.resume()

    async def stay(self, peer):
        while not peer.ended:
            await asyncio.sleep(1)

    def leave(self):
        self.left += 1
        self.group = None


class Bench:
    """A node with doubles; `scenario(bench)` runs in virtual time, and the node must be alive afterwards."""

    def __init__(self, load, options=None, **parts):
        self.module = load("node")
        self.lit = []
        self.light_errors = []
        self.status = []
        self.sensor = lambda: b"1"
        self.peers = []
        settings = {"groups": [], "manager": {"host": "x", "port": 1}, "identity": "a", "key": "00"}
        self.node = self.module.Node(settings, options or {"publish_s": 0}, lambda: self.sensor(), self.light, self.show, **parts)
        self.managed = Managed()
        self.node.groups = {"lamps": self.managed}
        self.connect_errors = []
        self.node._connect = self.connect

    def light(self, on):
        if self.light_errors:
            raise self.light_errors.pop()
        self.lit.append(on)

    def show(self, word):
        self.status.append(word)

    async def connect(self):
        if self.connect_errors:
            raise self.connect_errors.pop()
        self.node.manager = FakeManagerSession()
        self.peers.append(self.node.manager)
        for managed in self.node.groups.values():
            self.node._take_part(managed, await managed.join(self.node.manager))

    def run(self, scenario):
        async def main():
            task = asyncio.ensure_future(self.node.run())
            await asyncio.sleep(1)
            await scenario(self)
            assert not task.done(), task
            others = [other for other in asyncio.all_tasks() if other is not asyncio.current_task()]
            for other in others:
                other.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        loop = Loop()
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()


@pytest.mark.parametrize("error", OF_CALLBACKS, ids=repr)
def test_a_light_that_fails_costs_one_message(app, error):  # noqa: F811
    async def scenario(bench):
        bench.light_errors = [error]
        for message in (b"on", b"off"):
            bench.managed.group.put(message)
        await asyncio.sleep(1)
        assert bench.lit == [False] and bench.managed.left == 0

    Bench(app).run(scenario)


@pytest.mark.parametrize("error", OF_CALLBACKS, ids=repr)
def test_a_sensor_that_fails_costs_one_value(app, error):  # noqa: F811
    async def scenario(bench):
        def broken():
            raise error

        good, bench.sensor = bench.sensor, broken
        bench.managed.group.put(b"sample")
        await asyncio.sleep(65)
        bench.sensor = good
        assert bench.managed.group.sent == []
        await asyncio.sleep(60)
        assert bench.managed.group.sent == [b"1"]
        bench.managed.group.put(b"sample")
        await asyncio.sleep(1)
        assert bench.managed.group.sent == [b"1", b"1"]

    Bench(app, {"publish_s": 60}).run(scenario)


@pytest.mark.parametrize("error", [OSError(19), LimitError(42)], ids=repr)
def test_a_group_that_ends_is_joined_again(app, error):  # noqa: F811
    async def scenario(bench):
        bench.managed.group.put(error)
        await asyncio.sleep(30)
        assert bench.managed.left == 1 and len(bench.peers) == 2 and "trouble" in bench.status
        bench.managed.group.put(b"on")
        await asyncio.sleep(1)
        assert bench.lit == [True]

    Bench(app).run(scenario)


def test_a_lack_of_memory_while_waiting_for_a_message_costs_nothing_more(app):  # noqa: F811
    async def scenario(bench):
        bench.managed.group.put(MemoryError())
        bench.managed.group.put(b"on")
        await asyncio.sleep(1)
        assert bench.lit == [True] and bench.managed.left == 0

    Bench(app).run(scenario)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_a_manager_that_cannot_be_reached_is_tried_again(app, error):  # noqa: F811
    async def scenario(bench):
        bench.connect_errors = [error] * 3
        bench.node.manager.close()
        await asyncio.sleep(120)
        assert len(bench.peers) == 2 and bench.status.count("trouble") == 3

    Bench(app).run(scenario)


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_a_group_that_cannot_be_resumed_at_the_start_is_joined_with_the_manager(app, error):  # noqa: F811
    bench = Bench(app)
    bench.managed.trouble = {"resume": error}

    async def scenario(bench):
        bench.managed.trouble = {}
        await asyncio.sleep(30)
        bench.managed.group.put(b"on")
        await asyncio.sleep(1)
        assert bench.lit == [True]

    bench.run(scenario)


@pytest.mark.parametrize("error", OF_CALLBACKS, ids=repr)
def test_a_status_light_that_fails_ends_nothing(app, error):  # noqa: F811
    def broken(word):
        raise error

    bench = Bench(app)
    bench.node._status = broken

    async def scenario(bench):
        bench.node.manager.close()
        await asyncio.sleep(30)
        assert len(bench.peers) == 2

    bench.run(scenario)


@pytest.mark.parametrize("error", ONCE, ids=repr)
def test_a_service_that_fails_is_started_again(app, tmp_path, error):  # noqa: F811
    (tmp_path / "clients.json").write_text(json.dumps({"desk": "00" * 16}))
    bench = Bench(app)
    outcomes = [error, None, error]
    closed = []

    class Service:
        async def wait_closed(self):
            await asyncio.sleep(3)
            raise outcomes.pop(0)

        def close(self):
            closed.append(len(outcomes))

    async def serve(*arguments, **options):
        if outcomes[0]:
            raise outcomes.pop(0)
        outcomes.pop(0)
        return Service()

    bench.module.dice = type("dice", (), {"serve": staticmethod(serve)})

    async def scenario(bench):
        await asyncio.sleep(12)
        assert closed == [0], "it was served, and closed when it failed"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.module, "PskLookup", lambda find: find)
        bench.run(scenario)


def test_clients_that_cannot_be_read_cost_these_clients(app, tmp_path):  # noqa: F811
    (tmp_path / "clients.json").write_text("{")

    async def scenario(bench):
        assert "trouble" in bench.status
        bench.managed.group.put(b"on")
        await asyncio.sleep(1)
        assert bench.lit == [True]

    Bench(app).run(scenario)


def test_a_node_without_a_network_looks_nothing_up(app, monkeypatch):  # noqa: F811
    """A look-up would block for longer than the watchdog waits, and its restarts would count as failures of the program."""
    up, looked_up = [False], []

    async def connect(address, *arguments, **options):
        looked_up.append(address)
        raise OSError(-2)

    bench = Bench(app, ready=lambda: up[0])
    bench.node._connect = type(bench.node)._connect.__get__(bench.node)
    monkeypatch.setattr(bench.module.dice, "connect", connect)

    async def scenario(bench):
        await asyncio.sleep(60)
        assert looked_up == [] and "trouble" in bench.status
        up[0] = True
        await asyncio.sleep(120)
        assert looked_up[0] == ("x", 1)

    bench.run(scenario)


@pytest.mark.parametrize("options, connected, ready", [({}, True, True), ({}, False, False), ({"serial": {}}, False, True)])
def test_the_network_is_ready_once_wifi_is_connected(app, monkeypatch, options, connected, ready):  # noqa: F811
    wlan = types.SimpleNamespace(isconnected=lambda: connected)
    monkeypatch.setitem(sys.modules, "network", types.SimpleNamespace(WLAN=lambda interface: wlan, STA_IF=0))
    assert app("link").ready(options) == ready


def test_a_board_without_wifi_is_always_ready(app):  # noqa: F811
    assert app("link").ready({})


class Refused(Managed):
    """A double of a managed group from which the device was expelled, until it is `admitted`."""

    admitted = False
    joined = 0

    async def join(self, peer):
        if not self.admitted:
            raise PeerError(None, 57)
        self.joined += 1
        return await super().join(peer)


@pytest.mark.parametrize("first", [True, False])
def test_a_device_that_was_expelled_from_one_group_follows_the_others(app, monkeypatch, first):  # noqa: F811
    """It reconnected all the time, and did not even ask for the keys of the groups behind the one that refused it."""
    session = FakeManagerSession()

    async def connect(*_, **__):
        return None

    async def scenario(bench):
        module, node = bench.module, bench.node
        monkeypatch.setattr(module.dice, "connect", connect)
        monkeypatch.setattr(module, "Coap", lambda *_: session)
        del node._connect
        refused, other = Refused(), Refused()
        other.admitted = True
        node.groups = {"a": refused, "b": other} if first else {"a": other, "b": refused}
        node.manager.ended = True  # the session of before
        await asyncio.sleep(20)
        assert other.joined == 1 and not session.ended
        refused.admitted = True
        await asyncio.sleep(310)
        assert refused.joined == other.joined == 1 and not session.ended and not node._refused

    Bench(app).run(scenario)
