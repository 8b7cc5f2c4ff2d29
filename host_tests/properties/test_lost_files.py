# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Managed nodes lose power and files at any time, in virtual time: counters, their GSA, or all; no nonce is used twice.

Manager, service, sessions and members are the real ones; the network is made up, loses datagrams and is cut.
"""

import asyncio
import os
import shutil
from pathlib import Path
from random import Random

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import D00, K08
from dice.group.manager import SENDER, GroupState, Manager
from dicectl.net.virtual import VirtualNetwork, VirtualNode
from host_tests.nonces import RECORD
from host_tests.seeds import seeds

KEYS = {name: bytes([i]) * 16 for i, name in enumerate((b"switch", b"panel", b"remote"))}
STEPS = 30


def lose(folder, random):
    """Remove some of a node's files."""
    files = sorted(path for path in folder.glob("*") if path.is_file())
    counters = [path for path in files if path.suffix == ""]
    for path in random.choice((files, counters, [random.choice(files)] if files else [], [p for p in files if p not in counters])):
        path.unlink()


async def _live(network, folder, random):
    sent = 0
    layout = random.choice((K08, D00))
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, layout), lambda state, change: None, os.urandom, now())
    manager.add(list(KEYS), SENDER, now())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=1000, cid_bytes=4, network=network.host())
    nodes = [VirtualNode(network, folder, identity.decode(), "lamps", identity, key) for identity, key in KEYS.items()]
    for node in nodes:
        node.power_on()
    for step in range(STEPS):
        node = random.choice(nodes)
        kind = random.choice(("speak", "speak", "speak", "off", "lose", "lose", "rekey", "cut", "mend"))
        if kind == "speak":
            for _ in range(random.choice((1, 3, 70))):
                try:
                    await node.send(b"%d of %s" % (step, node.identity))
                    sent += 1
                except (DiceError, OSError, AttributeError):
                    pass  # not booted, not joined, or it has lost its counter
        elif kind in ("off", "lose"):
            node.power_off()
            if kind == "lose":
                lose(Path(folder) / node.name, random)
            node.power_on()
        elif kind == "rekey":
            manager.rekey(now())
            kdc.changed("lamps")
        elif kind == "cut":
            network.cut.add(node.name)
        else:
            network.cut.clear()
        await asyncio.sleep(random.choice((0, 0.1, 1, 10, 100)))
    for node in nodes:
        node.power_off()
    service.close()
    kdc.close()
    return sent


def test_no_nonce_is_used_twice_whatever_a_managed_node_loses(tmp_path):
    sent = 0
    for seed in seeds(12):
        RECORD.new_world(strict=True)
        random = Random(seed)
        network = VirtualNetwork(random.randrange, random.choice((0, 0, 20)))
        folder = tmp_path / str(seed)
        folder.mkdir()
        sent += network.run(_live, network, folder, random)
        RECORD.check(f"seed {seed}: ")
        shutil.rmtree(folder)
    assert sent > 20 * len(seeds(12)), "hardly anything was sent"
