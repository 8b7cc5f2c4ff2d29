# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The large group of `dicectl bench`: a thousand members and their manager in virtual time, with a virtual network.

All members connect and join within some seconds. Then the keys are renewed, one member is expelled, and the keys are renewed again
while one member has no power. Prints JSON lines: {"round", "rounds"} for each network, and for each phase {"phase", "members",
"loss": per cent, "s": seconds until all members have the epoch and it is in use, "each_s": [median, 90th percentile, maximum] of
members, "datagrams" and "bytes": of a member's session with the manager, both ways, "heard": members in per cent that received one
message afterwards, "manager_bytes": memory of the manager for each member}.

python -m dicectl.measure.large_group [quick]
"""

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import types

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork, VirtualNode

LOSSES = (0, 10)
_START_S = 10  # time within which all members start
_PHASE_MAX_S = 1000


def size(*roots):
    """Return the bytes of all objects that `roots` refer to, except code, modules and asyncio's."""
    seen, waiting, total = set(), list(roots), 0
    beyond = (
        type,
        types.ModuleType,
        types.FunctionType,
        types.CodeType,
        types.FrameType,
        asyncio.AbstractEventLoop,
        VirtualNetwork,
    )
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, beyond):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting.extend(gc.get_referents(thing))
    return total


class LargeGroup:
    """One group with its manager, in a virtual network."""

    def __init__(self, count, loss, folder):
        self.chance = random.Random(loss)
        self.network = VirtualNetwork(self.chance.randrange, loss)
        self.keys = {b"%06d" % number: self.chance.randbytes(16) for number in range(count)}
        state = GroupState("lamps", b"\1\2\3\4", bytes((239, 1, 2, 3)), 5000, K08)
        self.manager = Manager(state, lambda state, change: None, os.urandom, 0)
        self.nodes = [VirtualNode(self.network, folder, i.decode(), "lamps", i, key) for i, key in self.keys.items()]
        self.lines = []
        self.kdc = None
        self.manager_bytes = 0
        self._empty = size(self.manager)

    async def run(self):
        """Run all phases; return the lines."""
        loop = asyncio.get_running_loop()
        self.kdc = Kdc()
        first, *others = self.keys
        self.manager.add([first], SENDER, now())
        self.manager.add(others, LISTENER, now())
        self.kdc.add(self.manager)
        service = await dice.serve(
            5684,
            PskLookup(self.keys.get),
            self.kdc.serve,
            timer_ms=1000,
            sessions_max=4096,
            half_open_max=64,
            cid_bytes=4,
            network=self.network.host(),
        )
        for node in self.nodes:
            loop.call_later(self.chance.uniform(0, _START_S), node.power_on)
        await self._phase("join", len(self.nodes))
        self.manager_bytes = (size(self.kdc, self.manager, service.listener) - self._empty) // len(self.nodes)
        self.manager.rekey(now())
        await self._phase("re-key", len(self.nodes))
        self.manager.remove([others[0]], now())
        self.nodes.pop(1).power_off()
        await self._phase("expulsion", len(self.nodes))
        lost = self.nodes.pop(1)
        lost.power_off()
        self.manager.rekey(now())
        await self._phase("re-key, one lost", len(self.nodes))
        for line in self.lines:
            line["manager_bytes"] = self.manager_bytes
        service.close()
        self.kdc.close()
        return self.lines

    async def _phase(self, name, reachable):
        """Wait until the epoch is active and `reachable` members have it; then send a message, and append a line."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        self.network.counts.clear()
        self.kdc.changed("lamps")
        when = {}
        while len(when) < reachable or not self.manager.state.active or any(node.joined_s is None for node in self.nodes):
            state = self.manager.state
            for identity, member in state.members.items():
                if member.held == state.epoch:
                    when.setdefault(identity, loop.time() - start)
            if loop.time() - start > _PHASE_MAX_S:
                break
            await asyncio.sleep(0.1)
        whole_s = loop.time() - start
        each = sorted(node.joined_s for node in self.nodes) if name == "join" else sorted(when.values())
        counts = [self.network.counts.get(node.name, [0, 0]) for node in self.nodes]
        sender = self.nodes[0]
        reachable_now = {node.identity for node in self.nodes}
        while reachable_now.intersection(self.kdc.not_activated("lamps")):  # they are asked to enter it, the sender first
            await asyncio.sleep(0.1)
        await sender.send(b"off")
        await asyncio.sleep(1)
        obeyed = sum(bool(node.received) and node.received[-1][0] > loop.time() - 1.01 for node in self.nodes[1:])
        self.lines.append(
            {
                "phase": name,
                "members": len(self.nodes),
                "loss": self.network.loss,
                "s": round(whole_s, 1),
                "each_s": [round(each[i], 2) for i in (len(each) // 2, len(each) * 9 // 10, -1)],
                "datagrams": round(sum(count for count, _ in counts) / len(self.nodes), 1),
                "bytes": round(sum(octets for _, octets in counts) / len(self.nodes)),
                "heard": round(100 * obeyed / (len(self.nodes) - 1), 1),
            }
        )


def main(quick):
    """Run the phases in each network and print the lines."""
    os.urandom = random.Random(0).randbytes  # of this process alone: every run is the same
    lines = []
    for number, loss in enumerate(LOSSES):
        with tempfile.TemporaryDirectory(prefix="dice-group-") as folder:
            group = LargeGroup(50 if quick else 1000, loss, folder)
            lines += group.network.run(group.run)
        print(json.dumps({"round": number + 1, "rounds": len(LOSSES)}), flush=True)
    for line in lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main("quick" in sys.argv[1:])
