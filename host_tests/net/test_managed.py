# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key distribution center on CPython, its members on MicroPython: joined, re-keyed, expelled over DTLS, in their own network."""

import asyncio
import json
import os
import random
from pathlib import Path

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.net import namespace
from host_tests.patience import soon, until_async

KEYS = {b"switch": bytes(range(16)), b"lamp-1": bytes(range(1, 17)), b"lamp-2": bytes(range(2, 18)), b"thief": bytes(16)}


class Node:
    """A process with a folder of its own."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.name = name

    async def start(self):
        """Start it, and wait until it has joined, or has failed."""
        await self.launch()
        return await self.hear()

    async def launch(self):
        """Start it."""
        self.folder.mkdir(exist_ok=True)
        script = str(Path(__file__).with_name("managed_node.py"))
        self.process = await asyncio.create_subprocess_exec(
            unix_port.find(),
            "-X",
            "heapsize=512k",
            script,
            self.name,
            KEYS[self.name.encode()].hex(),
            cwd=self.folder,
            env=unix_port.environment(resources.LIB),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def hear(self):
        """Return the next line that it tells, {} at its end."""
        return json.loads(await soon(self.process.stdout.readline()) or b"{}")

    async def hears_nothing(self):
        """Tell whether it is silent for a while."""
        try:
            return not await asyncio.wait_for(self.process.stdout.readline(), 1)
        except asyncio.TimeoutError:
            return True

    async def send(self, text):
        """Have it send."""
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()

    def kill(self):
        """Power off."""
        if self.process.returncode is None:
            self.process.kill()


async def _life(folder):
    state = GroupState("lamps", os.urandom(4), bytes((239, 7, 7, 7)), 45007, K08)
    manager = Manager(state, lambda state: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, now())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=500)
    nodes = {name.decode(): Node(folder, name.decode()) for name in KEYS}
    switch, one, two, thief = nodes.values()
    story = []

    async def say(text, *lamps):
        await switch.send(text)
        story.append([text, *[(await lamp.hear()).get("message") for lamp in lamps]])

    try:
        story.append([await node.start() for node in (one, two, switch)])
        story.append(await thief.start())
        await until_async(lambda: manager.state.active)
        await say("first", one, two)
        manager.rekey(now())
        kdc.changed("lamps")
        await until_async(lambda: manager.state.active and kdc.settled("lamps"))
        await say("second", one, two)
        manager.remove([b"lamp-2"], now())
        kdc.changed("lamps")
        await until_async(lambda: manager.state.active and kdc.settled("lamps"))
        await say("third", one)
        story.append(await two.hears_nothing())
        one.kill()
        await one.process.wait()
        await one.start()
        await say("fourth", one)
        return story, manager.state.epoch
    finally:
        for node in nodes.values():
            node.kill()
            await node.process.wait()
        kdc.close()
        service.close()


def _run(folder):
    return asyncio.run(_life(folder))


def test_the_life_of_a_group(in_network, tmp_path):
    story, epoch = in_network(_run, tmp_path)
    assert story[0] == [{"joined": True}] * 3
    assert story[1] == {"error": "E61"}, "who is not in the group is refused"
    assert story[2:4] == [["first", "first", "first"], ["second", "second", "second"]]
    assert story[4] == ["third", "third"] and story[5], "the expelled hears nothing"
    assert story[6] == ["fourth", "fourth"], "who lost power is back"
    assert epoch == 3


KILLS = 25  # of each of three nodes


async def _kill_often(node, chance, sent=None):
    """Start a node, let it send where it may, and kill it at a random point; again and again. A sender adds to `sent`."""
    for number in range(KILLS):
        await node.launch()
        if number % 2:
            await node.hear()  # it has joined
            if sent is not None:
                before = len(sent)
                await node.send("on")
                await until_async(lambda before=before: len(sent) > before, "a message")
        else:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
        for _ in range(chance.randrange(10)):
            await node.send("on")
            await asyncio.sleep(0.02)
        node.kill()
        await node.process.communicate()


async def _through_kills(folder, tap):
    """Renew keys while nodes are killed; return what was heard in the end, the epochs that are held, and all that was sent."""
    sent = []
    asyncio.get_running_loop().add_reader(tap, lambda: sent.extend(payload for _, payload in tap.read()))
    state = GroupState("lamps", os.urandom(4), bytes((239, 7, 7, 7)), 45007, K08)
    manager = Manager(state, lambda state: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, now())
    kdc = Kdc()
    kdc.add(manager)
    room = 3 * KILLS  # for those that were killed
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=500, half_open_max=room)
    nodes = [Node(folder, name) for name in ("switch", "lamp-1", "lamp-2")]
    switch, *lamps = nodes

    async def renew():
        while True:
            await asyncio.sleep(1)
            manager.rekey(now())
            kdc.changed("lamps")

    renewing = asyncio.create_task(renew())
    try:
        chance = random.Random(1)
        await asyncio.gather(_kill_often(switch, chance, sent), *[_kill_often(lamp, chance) for lamp in lamps])
        renewing.cancel()
        started = [await node.start() for node in nodes]
        await until_async(lambda: manager.state.active and kdc.settled("lamps"))
        heard = []
        for word in ("one", "two"):
            await switch.send(word)
            heard.append([(await lamp.hear()).get("message") for lamp in lamps])
        return started, heard, [member.held for member in manager.state.members.values()], manager.state.epoch, sent
    finally:
        renewing.cancel()
        for node in nodes:
            node.kill()
            await node.process.communicate()
        kdc.close()
        service.close()


def _run_and_tap(folder):
    tap = namespace.Tap(45007)
    return (*asyncio.run(_through_kills(folder, tap)), tap.lost())


def test_nodes_killed_again_and_again(in_network, tmp_path):
    """SIGKILL on real processes, whatever they do just then: joining, storing keys, sending; all while the keys are renewed."""
    started, heard, held, epoch, datagrams, lost = in_network(_run_and_tap, tmp_path)
    assert started == [{"joined": True}] * 3
    assert heard == [["one", "one"], ["two", "two"]]
    assert held == [epoch] * 3
    nonces = [bytes(datagram[3:11]) for datagram in datagrams]
    print(f"{3 * KILLS} kills, {len(nonces)} messages, {epoch} epochs")
    assert lost == 0 and len(nonces) > KILLS // 2
    assert len(nonces) == len(set(nonces))
