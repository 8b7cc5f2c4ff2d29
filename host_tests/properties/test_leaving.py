# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A sender that leaves in good order loses no sequence numbers; a crash costs a reservation at most, and no number is used twice.

Each seed is a life of many starts of a sender: by Member, by Group and by firmware/app, with power cuts, stores that fail at the
end, new epochs, and several ends of the same start.
"""

import asyncio
import os
import random
import sys
import types

import pytest

import dice
from dice.aio.group import Group
from dice.errors import StoreError
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.gsa_encode import encode
from dice.group.member import Member
from dice.reasons import E_STORE_WRITE
from dice.store import FileStore
from host_tests.seeds import search
from host_tests.unit.test_app import app  # noqa: F401 - a fixture
from host_tests.unit.test_app_network import in_virtual_time

STARTS = 40
NUMBER = slice(6, 11)  # after the SenderID


class RamStore:
    def __init__(self):
        self.values = {}
        self.broken = False

    def get(self, name):
        return self.values.get(name)

    def put(self, name, value):
        if self.broken:
            raise StoreError(E_STORE_WRITE)
        self.values[name] = value


class Wire:
    """A transport that keeps what is sent."""

    source = None

    def __init__(self):
        self.socket = asyncio.Event()
        self.sent = []

    def send(self, datagram):
        self.sent.append(bytes(datagram))

    def answer(self, datagram, source):
        pass

    def receive(self):
        return None

    def close(self):
        pass


def gsa(epoch, fresh, life=b""):
    return Gsa(
        gid=b"gidg",
        address=bytes((239, 1, 2, 3)),
        port=5684,
        suite=0xC0A8,
        layout=K08,
        derive=DERIVE_SENDER,
        epoch=epoch,
        key=bytearray((life + bytes(15))[:15] + bytes((epoch,))),
        own_id=1,
        own_next=epoch << 48,
        lifetime_s=0,
        budget=1 << 23,
        senders=[(1, epoch << 48)],
        fresh=fresh,
    )


def life(seed):
    """Live for STARTS starts; return {"lost": numbers, "crashes": of them}. Nothing may be used twice."""
    chance = random.Random(seed)
    key = b"life %d" % seed
    store, used, epoch, fresh = RamStore(), set(), 1, True
    reserve = chance.choice([1, 2, 64])
    crashes = chance.random() < 0.5
    sent = following = crashed = lost = 0

    def send(member):
        nonlocal sent, following, lost
        member.send(b"x", 0)
        datagram = bytes(member.transmit())
        assert datagram[3:11] not in used, "a nonce twice"
        used.add(datagram[3:11])
        number = int.from_bytes(datagram[NUMBER], "big")
        lost += number - following
        following = number + 1
        sent += 1

    for _ in range(STARTS):
        member = Member(gsa(epoch, fresh, key), store, 0, reserve)
        fresh = False
        for _ in range(chance.choice([0, 1, 1, 2, min(reserve, 70)])):
            send(member)
        if chance.random() < 0.1:  # a re-key, and some more
            epoch += 1
            member.install(gsa(epoch, True, key), 0)
            member.activate(0)
            following = 0
            send(member)
        if crashes and chance.random() < 0.3:
            crashed += 1  # a power cut, or the watchdog: nothing more is written
            store.broken = chance.random() < 0.3
            if store.broken:
                member.close()  # in good order, but nothing can be written
            store.broken = False
        else:
            for _ in range(chance.choice([1, 2])):
                member.close()
    assert lost <= crashed * reserve, "lost without a crash"
    return {"lives": 1, "crashes": crashed, "lost": lost, "sent": sent}


def test_only_a_crash_costs_numbers():
    done = search(life, 20)
    assert done["crashes"] and done["lost"] and done["sent"]


def test_a_group_gives_its_numbers_back(tmp_path):
    """26: a sensor that wakes, sends one value and sleeps again."""
    (tmp_path / "g.gsa").write_bytes(encode(gsa(1, True, os.urandom(8))))
    wires = []

    async def wake():
        wires.append(Wire())
        group = await dice.join(str(tmp_path / "g.gsa"), transport=wires[-1])
        await group.send(b"21.4")
        assert isinstance(group, Group)
        group.close()

    for _ in range(20):
        asyncio.run(wake())
    assert [int.from_bytes(wire.sent[0][NUMBER], "big") for wire in wires] == list(range(20))


class Asleep(BaseException):
    """Ends a program that enters deep sleep."""


ENDS = {"sleep": Asleep, "interrupted": KeyboardInterrupt, "exception": ValueError, "soft reset": SystemExit, "power cut": Asleep}


def run_until(error, coroutine):
    """Run for 10 s of virtual time as MicroPython's asyncio.run(): what interrupts it gives no task a word."""

    async def limited():
        task = asyncio.ensure_future(coroutine)
        await asyncio.wait([task], timeout=10)
        if task.done():
            task.result()

    in_virtual_time(limited)
    raise error


@pytest.mark.parametrize("end", ENDS)
def test_the_application_gives_its_numbers_back_however_it_ends(app, monkeypatch, tmp_path, end):  # noqa: F811
    """Before deep sleep, on Ctrl-C, after an exception, and on a soft reset, which is SystemExit; not when its power is cut."""
    (tmp_path / "lamps.gsa").write_bytes(encode(gsa(1, True, os.urandom(8))))
    main, node_module = app("main"), app("node")

    asleep = []

    def deepsleep(_):
        asleep.append(True)
        raise Asleep

    monkeypatch.setitem(sys.modules, "machine", types.SimpleNamespace(deepsleep=deepsleep))
    wires, numbers = [], []

    class Network:
        def Multicast(self, address, port):
            wires.append(Wire())
            return wires[-1]

    class Node(node_module.Node):
        async def run(self):
            if end == "exception":
                await self._resume()
                await self.publish()
                raise ValueError
            await super().run()

        async def _connect(self):
            await asyncio.sleep(0.01)
            await self.publish()

        async def _stay(self):
            await asyncio.sleep(0 if end == "sleep" else 100)

        def close(self):
            group = self.groups["lamps"].group
            if group and (end == "power cut" or asleep):
                group.member.counters = None  # too late
            super().close()

    def node(measure):
        options = {"publish_s": 0, **({"sleep_s": 1} if end == "sleep" else {})}
        return Node({"groups": ["lamps"]}, options, lambda: b"1", network=Network())

    monkeypatch.setattr(main, "node", node)
    monkeypatch.setattr(main.asyncio, "run", lambda coroutine: run_until(ENDS[end], coroutine))
    for _ in range(5):
        with pytest.raises(ENDS[end]):
            main.start()
        numbers += [int.from_bytes(datagram[NUMBER], "big") for wire in wires for datagram in wire.sent]
        wires.clear()
        asleep.clear()
    assert len(set(numbers)) == len(numbers) >= 5
    if end == "power cut":
        assert numbers[-1] == 4 * 64
    else:
        assert numbers == list(range(len(numbers)))


def test_an_interruption_inside_any_task_is_no_failure(app, tmp_path, monkeypatch):  # noqa: F811
    """MicroPython cannot cancel the task that was interrupted: RuntimeError. It must not hide the interruption from main.py."""
    (tmp_path / "lamps.gsa").write_bytes(encode(gsa(1, True, os.urandom(8))))
    main, node_module = app("main"), app("node")

    class Uncancellable:
        ended = False

        def cancel(self):
            raise RuntimeError("can't cancel self")

        close = cancel

    class Network:
        def Multicast(self, address, port):
            return Wire()

    async def interrupted(self):
        await self._resume()
        group = self.groups["lamps"].group
        await group.send(b"x")
        group._task.cancel()
        self.manager = group._task = self._tasks["x"] = Uncancellable()
        raise ValueError

    monkeypatch.setattr(node_module.Node, "run", interrupted)
    monkeypatch.setattr(main, "node", lambda measure: node_module.Node({"groups": ["lamps"]}, {}, None, network=Network()))
    monkeypatch.setattr(main.asyncio, "run", lambda coroutine: run_until(None, coroutine))
    with pytest.raises(ValueError):
        main.start()
    member = Member(gsa(1, False), FileStore("."), 0)
    assert member.held(1) is not None and member.report(1)[2:10][-1] == 1, "its number was not given back"
