# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One enrolled device that does all it can: each resource that it can consume has a bound, and the others go on being served.

It has its key, its sessions and the keys of its group, and as many ports as it likes. The manager is the real service with its
registry; members and network are in virtual time. docs/security.md has the table of the bounds.
"""

import asyncio
import contextlib
import os
import random

import pytest

import dice
from dice.coap.codes import CON, GET, NON, POST, PUT, URI_PATH
from dice.coap.message import Message, decode, path_options
from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.errors import DiceError
from dice.group.manager import Manager
from dice.limits import (
    ALONE_EPOCHS,
    AUTOMATIC_REKEY_MIN_MS,
    CATCH_UP_MIN_MS,
    COAP_QUEUE_MAX,
    COAP_REPLIES_MAX,
)
from dicectl.manager.service import HALF_OPEN_MAX, ManagerService
from dicectl.net.virtual import MANAGER, VirtualNetwork, VirtualNode
from host_tests.seeds import seeds
from host_tests.unit.memory_registry import MemoryRegistry

HOURS = 2
ROWS_EACH_EPOCH = 3  # "epoch", "active", "id"; and one "acknowledged" for each member
ANSWER = b"21.5"


class CountedRegistry(MemoryRegistry):
    """Counts the transactions that change something: on a disk, each is an fsync."""

    writes = 0

    def store_changes(self, before, after):
        self.writes += 1
        super().store_changes(before, after)


class House:
    """A manager; in "lamps" a desk that sends, two lamps and the insider; in "safe" a guard. A visitor comes later."""

    def __init__(self, folder, chance, role):
        self.folder = folder
        self.chance = chance
        self.network = VirtualNetwork(chance.randrange)
        self.registry = CountedRegistry()
        self.service = ManagerService(self.registry, folder / "house.db")
        self.role = role
        self.settings = {}
        self.nodes = {}
        self.sent = []

    async def start(self):
        await self.service.start(5684, MANAGER, 1000, self.network.host().Unicast(None, 5684))
        for group in ("lamps", "safe"):
            self.service.do({"do": "new", "group": group})
        for name, group, role in (
            ("desk", "lamps", "sender"),
            ("lamp", "lamps", "answering"),
            ("porch", "lamps", "listener"),
            ("guard", "safe", "sender"),
            ("insider", "lamps", self.role),
        ):
            self.add(name, group, role)
        await asyncio.sleep(200)

    def add(self, name, group, role):
        """Provision a device and power it on."""
        settings = self.settings[name] = self.service.do({"do": "provision", "name": name, "groups": {group: role}})
        identity, key = settings["identity"].encode(), bytes.fromhex(settings["key"])
        node = self.nodes[name] = VirtualNode(self.network, self.folder, name, group, identity, key)
        node.power_on()
        return node

    def stop(self):
        for node in self.nodes.values():
            node.power_off()
        self.service.close()

    def identity(self, name):
        return self.settings[name]["identity"].encode()

    @property
    def listener(self):
        return self.service._service.listener

    def sessions_of(self, name):
        return [client for client in self.listener.sessions if client.session.identity == self.identity(name)]

    def delivery(self, group="lamps"):
        return self.service.kdc._deliveries[group]

    def epoch(self, group="lamps"):
        return self.service.managers[group].state.epoch

    async def talk(self):
        """Let the desk speak every minute."""
        while True:
            message = b"message %d" % len(self.sent)
            with contextlib.suppress(DiceError, OSError):
                await self.nodes["desk"].send(message)
                self.sent.append(message)
            await asyncio.sleep(60)

    def heard(self, name):
        return [message for _, _, message in self.nodes[name].received]


class Insider:
    """The device. Each of its doings is a method; at() picks one at random."""

    def __init__(self, house, worst):
        self.house = house
        self.worst = worst
        self.chance = house.chance
        settings = house.settings["insider"]
        self.psk = Psk(settings["identity"].encode(), bytes.fromhex(settings["key"]))
        self.host = house.network.host("insider")
        self.connections = []
        self.pending = []
        self.tasks = []
        self.message_id = 0

    async def live(self):
        """Do something, again and again. Its node lives on as a member, with the keys that the manager pushes."""
        node = self.house.nodes["insider"]
        node._tasks[0].cancel()
        node._peer.close()
        doings = [self.connect, *[self.hello] * 3, *[self.report] * 12, *[self.request] * 6, *[self.odd] * 4, self.group_message]
        while True:
            for _ in range(self.chance.choice((1, 5, 20))):
                with contextlib.suppress(DiceError, OSError, asyncio.TimeoutError, IndexError):
                    await self.chance.choice(doings)()
                measure(self.house, self.worst)
            await asyncio.sleep(self.chance.choice((0.05, 1, 30, 120)))

    async def connect(self):
        """Open one more session, from a port of its own, and keep it; or close one."""
        if len(self.connections) > 20:
            self.connections.pop(0)
        connection = await dice.connect(("", 0), self.psk, timer_ms=1000, timeout_s=20, network=self.host)
        self.connections.append(connection)
        self.tasks.append(asyncio.ensure_future(self.answer(connection)))

    async def answer(self, connection):
        """Answer the manager's requests with anything, or not at all."""
        with contextlib.suppress(DiceError, OSError):
            async for datagram in connection:
                request = decode(datagram)
                if request.code == PUT and self.chance.random() < 0.8:
                    self.house.nodes["insider"].managed._take(request.payload)
                if self.chance.random() < 0.5:
                    kind = self.chance.choice((2, 2, 3, 1))
                    code = self.chance.choice((0, 0x44, 0x44, 0x45, 0x80, 0xA0))
                    payload = b"" if not code else self.any_report()
                    token = datagram[4 : 4 + (datagram[0] & 15)] if code else b""
                    await connection.send(Message(kind, code, int.from_bytes(datagram[2:4], "big"), token, (), payload).encode())

    async def hello(self):
        """Begin a handshake from a port of its own, and leave it in the middle."""
        role = Client(self.psk, os.urandom, b"")
        session = Session(role, RecordLayer(), dice.now())
        end = self.host.Unicast(("", 0))
        end.send(session.transmit())
        await asyncio.sleep(0.1)
        datagram, _ = end.receive()
        if datagram:
            session.receive(datagram, dice.now())
            end.send(session.transmit())
        self.pending.append(end)

    def any_report(self):
        """Return a report: of a clash, of forged records, of any number; or none."""
        chance = self.chance
        epoch = self.house.epoch() + chance.choice((0, 0, 0, 0, -1, 1))
        sent = chance.choice((0, 1, chance.randrange(1 << 23), (1 << 23) - 1, (1 << 64) - 1))
        flags = chance.choice((0, 1, 1, 2, 3, 255))
        report = epoch.to_bytes(2, "big") + sent.to_bytes(8, "big") + bytes((flags,))
        return chance.choice((report, report + chance.choice((0, 128, 1 << 31)).to_bytes(4, "big"), report[:5], b""))

    def connection(self):
        """Return one of its sessions, an open one if there is one."""
        return self.chance.choice([one for one in self.connections if not one.ended] or self.connections)

    async def send(self, code, options, payload=b"", kind=CON):
        """Send a request in one of its sessions."""
        self.message_id = self.message_id + 1 & 0xFFFF
        message = Message(kind, code, self.message_id, os.urandom(2), options, payload)
        await self.connection().send(message.encode())

    async def report(self):
        for _ in range(self.chance.choice((1, 10))):
            await self.send(POST, path_options("ace-group/lamps/node"), self.any_report())

    async def request(self):
        """Ask for anything, of its group or not."""
        path = self.chance.choice(
            (
                "ace-group/lamps",
                "ace-group/lamps/num",
                "ace-group/safe",
                "ace-group/safe/node",
                ".well-known/core",
                "gsa/safe",
                "x/../y",
            )
        )
        await self.send(self.chance.choice((GET, POST, PUT)), path_options(path), os.urandom(self.chance.choice((0, 11))))

    async def odd(self):
        """Send what no client sends: too many options, a path of slashes, blocks without an end, observations, rubbish."""
        chance = self.chance
        options = chance.choice(
            (
                [(URI_PATH, b"")] * chance.choice((8, 32, 33, 600)),
                [(URI_PATH, bytes(200))] * 5,
                [(27, bytes((8,)) if chance.random() < 0.5 else os.urandom(3)), *path_options("ace-group/lamps/node")],
                [(6, b""), *path_options("ace-group/lamps/num")],
                [(23, os.urandom(2)), *path_options("ace-group/lamps")],
            )
        )
        if chance.random() < 0.3:
            await self.connection().send(os.urandom(chance.randrange(1, 600)))
        else:
            await self.send(
                chance.choice((GET, PUT, POST)), options, os.urandom(chance.choice((0, 512))), chance.choice((CON, NON))
            )

    async def group_message(self):
        """Flood the group: with its own requests, which ask for an answer, and with records in the name of the desk."""
        node = self.house.nodes["insider"]
        context = node.member and node.member.held(0)
        if not context:
            return
        for end in [end for end in self.house.network.of("insider") if end.of_a_group]:
            for _ in range(self.chance.choice((1, 20))):
                request = Message(NON, GET, self.chance.randrange(1 << 16), os.urandom(4), path_options("sensor")).encode()
                with contextlib.suppress(DiceError):
                    node.member.send(self.chance.choice((request, b"on", os.urandom(40))), dice.now())
                    end.send(node.member.transmit())
                datagram = b"\x17\xfe\xfd" + context.epoch.to_bytes(2, "big") + os.urandom(6) + b"\0\x18" + os.urandom(24)
                end.send(datagram)


def measure(house, worst):
    """Record the largest value of everything that the insider could make grow."""
    listener, delivery, manager = house.listener, house.delivery(), house.service.managers["lamps"]
    endpoints = [session.endpoint for session in house.service.kdc.connected.values()]
    for what, value in {
        "sessions": len(house.sessions_of("insider")),
        "half-open": len(listener.half_open),
        "tasks": len(house.service._service._connections) + len(delivery._pushes),
        "records": len(manager._heard) + len(manager._clashed) + len(manager.progress.entered) + len(manager.rollback.ahead),
        "queue": max(len(endpoint._queue) for endpoint in endpoints),
        "replies": max(len(endpoint._replies) for endpoint in endpoints),
        "observed": max(len(endpoint._observed) for endpoint in endpoints),
        "out": max(len(endpoint._out) for endpoint in endpoints),
    }.items():
        worst[what] = max(worst.get(what, 0), value)


async def life(house):
    """Let the insider loose for some hours; return (what grew, figures before and after)."""
    await house.start()
    worst = {}
    insider = Insider(house, worst)
    registry = house.registry
    before = {"writes": registry.writes, "rows": len(registry.audit()), "epoch": house.epoch(), "safe": house.epoch("safe")}
    last = registry.audit()[-1]["number"]
    house.network.counts.clear()
    tasks = [asyncio.ensure_future(work) for work in (house.talk(), insider.live())]
    await asyncio.sleep(HOURS * 1800)
    visitor = house.add("visitor", "lamps", "listener")
    await asyncio.sleep(HOURS * 1800)
    after = {"writes": registry.writes, "rows": len(registry.audit()), "epoch": house.epoch(), "safe": house.epoch("safe")}
    after["begun"] = len([entry for entry in registry.audit(last) if entry["event"] == "epoch" and entry["group"] == "lamps"])
    counts = {name: house.network.counts[name][0] for name in ("desk", "lamp", "porch", "guard")}
    assert all(not task.done() for task in tasks), [task for task in tasks if task.done()]
    assert visitor.joined_s is not None and visitor.joined_s < 60, "a new device was not served"
    heard = {name: len(set(house.heard(name)) & set(house.sent)) for name in ("lamp", "porch")}
    assert all(count >= 0.9 * len(house.sent) for count in heard.values()), (heard, len(house.sent))
    expelled = house.service.do({"do": "wipe", "name": "insider"})
    assert expelled["groups"] == ["lamps"]
    await asyncio.sleep(30)
    assert not house.sessions_of("insider") and house.service.kdc.settled("lamps"), "the operator could not expel it"
    tasks[0].cancel()
    for name in ("lamp", "porch", "visitor"):
        house.nodes[name].received.clear()
    await asyncio.sleep(600)
    for message in (b"first", b"without it"):  # a member that does not know how far the desk has sent drops the first
        await house.nodes["desk"].send(message)
        await asyncio.sleep(1)
    for name in ("lamp", "porch", "visitor"):
        assert house.heard(name)[-1:] == [b"without it"] and set(house.heard(name)) <= {b"first", b"without it"}, name
    for task in (*tasks, *insider.tasks):
        task.cancel()
    house.stop()
    return worst, before, after, counts


def check(worst, before, after, counts):
    """Check each bound."""
    members = 5
    automatic = 1 + HOURS * 3_600_000 // AUTOMATIC_REKEY_MIN_MS
    # It reports later epochs, a minute apart, then two ...: each begins one epoch. Any number may be ALONE_EPOCHS further.
    caught_up = (1 + HOURS * 3_600_000 // CATCH_UP_MIN_MS).bit_length()
    epochs = after["begun"]  # the visitor is a listener: it begins none
    assert epochs <= automatic + caught_up, f"{epochs} epochs"
    numbers = after["epoch"] - before["epoch"]
    assert epochs <= numbers <= (automatic + caught_up) * (1 + ALONE_EPOCHS), f"{numbers} numbers of epochs"
    assert after["safe"] == before["safe"], "it re-keyed a group of others"
    writes, rows = after["writes"] - before["writes"], after["rows"] - before["rows"]
    assert writes <= (epochs + 1) * (members + 3) + 2, f"{writes} writes to the disk in {epochs} epochs"
    assert rows <= (epochs + 1) * (members + ROWS_EACH_EPOCH) + 5, f"{rows} rows of the log in {epochs} epochs"
    assert worst["sessions"] <= 2, worst  # the one in use, and one that is being stored
    assert worst["half-open"] <= HALF_OPEN_MAX and worst["tasks"] <= 4 * members, worst
    assert worst["queue"] <= COAP_QUEUE_MAX and worst["replies"] <= COAP_REPLIES_MAX, worst
    assert worst["observed"] == 0 and worst["out"] <= 2, worst
    assert worst["records"] <= 3 * (members + 1), worst
    for name, count in counts.items():  # reports and epochs; the rest is their own traffic
        assert count <= 40 * (epochs + 1) + HOURS * 400, (name, count)


@pytest.mark.parametrize("seed", seeds(1))
@pytest.mark.parametrize("role", ["sender", "answering", "listener"])
def test_what_one_enrolled_device_consumes_is_bounded(tmp_path, role, seed):
    house = House(tmp_path, random.Random(f"{role} {seed}"), role)
    try:
        check(*house.network.run(life, house))
    except Exception as error:
        raise AssertionError(f"seed {seed}, {role}: {error!r}") from error


def test_the_search_finds_a_manager_without_a_ration(tmp_path, monkeypatch):
    """As the first one was: each report of a clash began an epoch."""
    monkeypatch.setattr(Manager, "_automatic", lambda self, cause, now: self.state.active)
    house = House(tmp_path, random.Random("sender 0"), "sender")
    with pytest.raises(AssertionError, match=r"\d+ epochs"):
        check(*house.network.run(life, house))
