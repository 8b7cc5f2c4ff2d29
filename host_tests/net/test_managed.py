# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A group manager on CPython and its members on MicroPython: join, re-key and expulsion over DTLS, in a network of their own."""

import asyncio
import contextlib
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


class NodeProcess:
    """A member's process, with a folder of its own."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.name = name

    async def start(self):
        """Start it, and wait until it has joined or failed."""
        await self.launch()
        return await self.next_line()

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

    async def next_line(self):
        """Return the next JSON line of its output, {} at the end."""
        return json.loads(await soon(self.process.stdout.readline()) or b"{}")

    async def is_silent(self):
        """Return whether it prints nothing for a while."""
        try:
            return not await asyncio.wait_for(self.process.stdout.readline(), 1)
        except asyncio.TimeoutError:
            return True

    async def send(self, text):
        """Let it send a message."""
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()

    def kill(self):
        """Power off."""
        if self.process.returncode is None:
            self.process.kill()


async def _life(folder):
    state = GroupState("lamps", os.urandom(4), bytes((239, 7, 7, 7)), 45007, K08)
    manager = Manager(state, lambda state, change: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, now())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=500)
    nodes = {name.decode(): NodeProcess(folder, name.decode()) for name in KEYS}
    switch, one, two, thief = nodes.values()
    story = []

    async def say(text, *lamps):
        await switch.send(text)
        story.append([text, *[(await lamp.next_line()).get("message") for lamp in lamps]])

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
        story.append(await two.is_silent())
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


def test_members_join_are_rekeyed_expelled_and_return(in_network, tmp_path):
    story, epoch = in_network(_run, tmp_path)
    assert story[0] == [{"joined": True}] * 3
    assert story[1] == {"error": "E61"}, "a device that is not in the group was not refused"
    assert story[2:4] == [["first", "first", "first"], ["second", "second", "second"]]
    assert story[4] == ["third", "third"] and story[5], "the expelled member received a message"
    assert story[6] == ["fourth", "fourth"], "the member did not return after a power cut"
    assert epoch == 3


KILLS = 25  # for each of three nodes


async def _kill_often(node, chance, sent=None):
    """Start a node, let it send if it can, and kill it at a random time, repeatedly. A sender appends to `sent`."""
    for number in range(KILLS):
        await node.launch()
        if number % 2:
            while not (await node.next_line()).get("joined"):  # on a busy machine it may have given up: try again, as devices do
                await node.process.wait()
                await node.launch()
            if sent is not None:
                before = len(sent)
                await node.send("on")
                await until_async(lambda before=before: len(sent) > before, "a message")
        else:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
        for _ in range(chance.randrange(10)):
            with contextlib.suppress(ConnectionError):  # it may have given up
                await node.send("on")
            await asyncio.sleep(0.02)
        node.kill()
        output, _ = await node.process.communicate()
        assert sent is None or b"Traceback" not in output, output  # a lamp may not send


async def _through_kills(folder, tap):
    """Renew keys while nodes are killed; return the messages received in the end, the epochs held, and all messages sent."""
    sent = []
    asyncio.get_running_loop().add_reader(tap, lambda: sent.extend(payload for _, payload in tap.read()))
    state = GroupState("lamps", os.urandom(4), bytes((239, 7, 7, 7)), 45007, K08)
    manager = Manager(state, lambda state, change: None, os.urandom, now())
    manager.add([b"switch"], SENDER, now())
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, now())
    kdc = Kdc()
    kdc.add(manager)
    room = 3 * KILLS  # for the sessions of killed nodes
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=500, half_open_max=room)
    nodes = [NodeProcess(folder, name) for name in ("switch", "lamp-1", "lamp-2")]
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
        received = []
        for word in ("one", "two"):
            await switch.send(word)
            received.append([(await lamp.next_line()).get("message") for lamp in lamps])
        return started, received, [member.held for member in manager.state.members.values()], manager.state.epoch, sent
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


def test_nodes_that_are_killed_repeatedly_keep_up_with_renewed_keys(in_network, tmp_path):
    """SIGKILL at any time: while joining, storing keys, or sending. The keys are renewed all the time."""
    started, received, held, epoch, datagrams, lost = in_network(_run_and_tap, tmp_path)
    assert started == [{"joined": True}] * 3
    assert received == [["one", "one"], ["two", "two"]]
    assert held == [epoch] * 3
    nonces = [bytes(datagram[3:11]) for datagram in datagrams]
    print(f"{3 * KILLS} kills, {len(nonces)} messages, {epoch} epochs")
    assert lost == 0 and len(nonces) > KILLS // 2
    assert len(nonces) == len(set(nonces))
