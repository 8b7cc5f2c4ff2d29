# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key distribution center on CPython, its members on MicroPython: joined, re-keyed, expelled over DTLS, in their own network."""

import asyncio
import json
import os
from pathlib import Path

import dice
from dice._compat import ticks_ms
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, Manager, Roster
from dice.kdc import Kdc
from dice.kx_psk import PskLookup
from dicectl import micropython

KEYS = {b"switch": bytes(range(16)), b"lamp-1": bytes(range(1, 17)), b"lamp-2": bytes(range(2, 18)), b"thief": bytes(16)}


class Node:
    """A process with a folder of its own."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.name = name

    async def start(self):
        """Start it, and wait until it has joined, or has failed."""
        self.folder.mkdir(exist_ok=True)
        script = str(Path(__file__).with_name("managed_node.py"))
        self.process = await asyncio.create_subprocess_exec(
            micropython.find(),
            "-X",
            "heapsize=512k",
            script,
            self.name,
            KEYS[self.name.encode()].hex(),
            cwd=self.folder,
            env=micropython.environment(micropython.LIB),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return await self.hear()

    async def hear(self, seconds=10):
        """Return the next line that it tells, {} at its end, None where it tells nothing."""
        try:
            line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        except asyncio.TimeoutError:
            return None
        return json.loads(line or b"{}")

    async def send(self, text):
        """Have it send."""
        self.process.stdin.write(text.encode() + b"\n")
        await self.process.stdin.drain()

    def kill(self):
        """Power off."""
        if self.process.returncode is None:
            self.process.kill()


async def until(condition, seconds=15):
    """Wait until `condition()`."""
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("waited in vain")


async def _life(folder):
    roster = Roster("lamps", os.urandom(4), bytes((239, 7, 7, 7)), 45007, K08)
    manager = Manager(roster, lambda roster: None, os.urandom, ticks_ms())
    manager.add([b"switch"], SENDER, ticks_ms())
    manager.add([b"lamp-1", b"lamp-2"], LISTENER, ticks_ms())
    kdc = Kdc()
    kdc.add(manager)
    service = await dice.serve(5684, PskLookup(KEYS.get), kdc.serve, timer_ms=500)
    nodes = {name.decode(): Node(folder, name.decode()) for name in KEYS}
    switch, one, two, thief = nodes.values()
    story = []

    async def say(text, *lamps, seconds=10):
        await switch.send(text)
        story.append([text, *[(await lamp.hear(seconds) or {}).get("message") for lamp in lamps]])

    try:
        story.append([await node.start() for node in (one, two, switch)])
        story.append(await thief.start())
        await until(lambda: manager.roster.active)
        await say("first", one, two)
        manager.rekey(ticks_ms())
        kdc.changed("lamps")
        await until(lambda: manager.roster.active and kdc.settled("lamps"))
        await say("second", one, two)
        manager.remove([b"lamp-2"], ticks_ms())
        kdc.changed("lamps")
        await until(lambda: manager.roster.active and kdc.settled("lamps"))
        await say("third", one)
        story.append(await two.hear(1))
        one.kill()
        await one.process.wait()
        await one.start()
        await say("fourth", one)
        return story, manager.roster.epoch
    finally:
        for node in nodes.values():
            node.kill()
            await node.process.wait()
        kdc.close()
        service.close()


def _run(folder):
    return asyncio.run(asyncio.wait_for(_life(folder), 100))


def test_the_life_of_a_group(in_network, tmp_path):
    story, epoch = in_network(_run, tmp_path)
    assert story[0] == [{"joined": True}] * 3
    assert story[1] == {"error": "E61"}, "who is not in the group is refused"
    assert story[2:4] == [["first", "first", "first"], ["second", "second", "second"]]
    assert story[4] == ["third", "third"] and story[5] is None, "the expelled hears nothing"
    assert story[6] == ["fourth", "fourth"], "who lost power is back"
    assert epoch == 3
