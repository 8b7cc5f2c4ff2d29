# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The bound of an expulsion in seconds: the real service, sessions and nodes in virtual time, members in every situation.

Somebody is expelled, and keeps sending. No member obeys it later than its bound (host_tests/bounds.py), whether others send or are
silent, on a network that loses datagrams or not, also if the manager is killed just then.
"""

import asyncio
import random
import secrets
from contextlib import suppress

import pytest

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork, VirtualNode
from host_tests import bounds
from host_tests.seeds import seeds

LIFETIME_S = 1800
KILLED_MAX_S = 20  # how long a killed manager is away
AWAY_MAX_S = 900
LATENCIES_S = 0.5  # of the datagrams of two exchanges
SPEAK_S = 2  # between two messages of the expelled
SITUATIONS = ["connected", "asleep", "off", "no session"]


class Network(VirtualNetwork):
    """A network on which the nodes in `no_session` can reach the group, but not the manager."""

    def __init__(self, chance, loss):
        super().__init__(chance, loss)
        self.no_session = set()

    def carry(self, datagram, source, end):
        if source.of_a_group or not self.no_session & {source.node, end.node}:
            super().carry(datagram, source, end)


class Node(VirtualNode):
    """A node that takes part in its group as soon as it has power, before it has reached the manager, as firmware/app does."""

    async def _live(self):
        group = await self.managed.resume()
        if group:
            self._tasks.append(asyncio.ensure_future(self._listen(group)))
        await super()._live()

    async def _listen(self, group):
        with suppress(DiceError):  # the end of the keys' lifetime
            await super()._listen(group)


class Expulsion:
    """One run; everything depends on the seed."""

    def __init__(self, seed, folder):
        self.chance = random.Random(seed)
        self.network = Network(self.chance.randrange, self.chance.choice([0, 0, 5]))
        self.only_sender = self.chance.random() < 0.3
        self.silence = self.only_sender or self.chance.random() < 0.5
        self.killed = self.chance.random() < 0.25
        self.keys = {name.encode(): secrets.token_bytes(16) for name in ["gone", "speaker", *SITUATIONS]}
        self.nodes = {name.decode(): Node(self.network, folder, name.decode(), "g", name, key) for name, key in self.keys.items()}
        self.state = GroupState("g", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08, LIFETIME_S)
        self.back_s = {}  # when each situation ends

    def commit(self, state, change):
        self.state.apply(change)

    async def serve(self):
        """Start the manager with what it has committed."""
        self.manager = Manager(self.state.copy(), self.commit, secrets.token_bytes, now())
        self.kdc = Kdc()
        self.kdc.add(self.manager)
        find = PskLookup(self.keys.get)
        options = {"timer_ms": 1000, "cid_bytes": 4, "sessions_max": 32, "half_open_max": 32}
        self.service = await dice.serve(5684, find, self.kdc.serve, network=self.network.host(), **options)

    async def kill(self):
        """Kill the manager, without a word to anybody, and start it again."""
        for end in self.network.of("manager"):
            end.close()
        self.kdc.close()
        self.service.close()
        await asyncio.sleep(self.chance.uniform(1, KILLED_MAX_S))
        await self.serve()

    async def run(self):
        """Expel `gone`; return {situation: seconds after its expulsion at which it was obeyed last, or None}."""
        await self.serve()
        senders = ["gone"] if self.only_sender else ["gone", "speaker", "asleep" if self.chance.random() < 0.5 else "off"]
        self.manager.add([name.encode() for name in senders], SENDER, now())
        self.manager.add([name.encode() for name in self.nodes if name not in senders], LISTENER, now())
        for node in self.nodes.values():
            node.power_on()
        await asyncio.sleep(240)
        assert self.kdc.settled("g"), "the group did not form"
        start_s = asyncio.get_running_loop().time()
        tasks = [asyncio.ensure_future(task) for task in (self.speak("gone", SPEAK_S), self.away(), self.others(), self.rekey())]
        await asyncio.sleep(self.chance.uniform(0, 10))
        self.expelled_s = asyncio.get_running_loop().time()
        self.manager.remove([b"gone"], now())
        self.kdc.changed("g")
        if self.killed:
            await asyncio.sleep(self.chance.choice([0, 1, 6]))
            await self.kill()
        await asyncio.sleep(start_s + 2.5 * LIFETIME_S - asyncio.get_running_loop().time())
        for task in tasks:
            task.cancel()
        gone = [m.id for i, m in self.first.members.items() if i == b"gone"]
        last = {}
        for name in SITUATIONS:
            times = [at for at, sender, message in self.nodes[name].received if [sender] == gone and message == b"gone"]
            last[name] = max(times, default=0) - self.expelled_s
        return last

    async def speak(self, name, every_s):
        """Let a node send, whatever happens."""
        self.first = self.manager.state.copy()
        while True:
            with suppress(DiceError, AttributeError):
                await self.nodes[name].send(name.encode())
            await asyncio.sleep(every_s)

    async def others(self):
        if not self.silence:
            await self.speak("speaker", 60)

    async def rekey(self):
        """Begin an epoch in each half of a lifetime, as the manager's service does."""
        await asyncio.sleep(self.chance.uniform(0, 60))
        while True:
            self.manager.rekey(now())
            self.kdc.changed("g")
            await asyncio.sleep(LIFETIME_S / 2)

    async def away(self):
        """Bring the nodes into their situations at random times around the expulsion, and out of them."""
        self.network.no_session.add("no session")
        nodes = self.nodes
        await asyncio.sleep(self.chance.uniform(0, 12))
        self.network.cut.add("asleep")
        nodes["off"].power_off()
        back = {name: self.chance.uniform(0, AWAY_MAX_S) for name in ("asleep", "off")}
        for name in sorted(back, key=back.get):
            await asyncio.sleep(back[name] - max(self.back_s.values(), default=0))
            self.back_s[name] = back[name]
            if name == "off":
                nodes["off"].power_on()
            else:
                self.network.cut.discard("asleep")
        now_s = asyncio.get_running_loop().time()
        self.back_s = {name: now_s + at - max(back.values()) for name, at in back.items()}

    def bounds_s(self):
        """Return {situation: seconds after the expulsion until which the expelled may be obeyed}."""
        members = len(self.nodes)
        back_s = {name: max(0, at - self.expelled_s) for name, at in self.back_s.items()}
        late_s = KILLED_MAX_S + bounds.without_session_s(members) if self.killed else 0
        connected_s = bounds.lossy_s(members) if self.network.loss else bounds.connected_s(members) + LATENCIES_S
        return {
            "connected": connected_s + late_s,
            "asleep": back_s["asleep"] + bounds.after_waking_s(members) + late_s,
            "off": back_s["off"] + bounds.after_waking_s(members) + late_s,
            "no session": bounds.without_manager_s(LIFETIME_S),
        }


@pytest.mark.parametrize("seed", seeds(4))
def test_no_member_obeys_the_expelled_later_than_its_bound(seed, tmp_path):
    expulsion = Expulsion(seed, tmp_path)
    last = expulsion.network.run(expulsion.run)
    bounds = expulsion.bounds_s()
    late = {name: (last[name], bounds[name]) for name in SITUATIONS if last[name] > bounds[name]}
    print(f"seed {seed}: {last}")
    assert last["no session"] > 0, "it must still obey: nothing can reach it"
    assert not late, f"seed {seed}: obeyed (s after the expulsion, bound): {late}"
