# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CPython and MicroPython in one group: `dice.join` on both, over real UDP multicast."""

import asyncio
import subprocess

import dice
from dicectl import keyring, micropython
from dicectl.stage import Stage


def _provision(folder, *senders):
    group = keyring.new("lamps")
    for name in senders:
        keyring.add_sender(group, name)
    keyring.create(folder / "lamps.group", group)
    micropython.compile_to(folder / "code")
    return folder / "lamps.group"


async def _next(group):
    return await asyncio.wait_for(group.__anext__(), 5)


def _cpython_listens(folder):
    group_file = _provision(folder, "switch")
    keyring.export(group_file, folder / "host.gsa")
    stage = Stage(folder, folder / "code", group_file)
    switch = stage.add("switch", "demo_switch", sender=True)

    async def listen():
        group = await dice.join(str(folder / "host.gsa"))
        stage.start(switch)
        stage.command(switch, "on", "off")
        heard = [await _next(group), await _next(group)]
        group.close()
        return heard

    try:
        return asyncio.run(listen())
    finally:
        stage.close()


def _cpython_sends(folder):
    group_file = _provision(folder, "host")
    stage = Stage(folder, folder / "code", group_file)
    lamp = stage.add("lamp", "demo_lamp")
    keyring.export(group_file, folder / "host.gsa", "host")

    async def send():
        group = await dice.join(str(folder / "host.gsa"))
        await group.send(b"off")
        await group.send(b"on")
        group.close()

    try:
        stage.start(lamp)
        asyncio.run(send())
        stage.until(lambda: lamp.obeyed == 2, "the lamp")
        return lamp.on
    finally:
        stage.close()


def test_cpython_hears_micropython(in_network, tmp_path):
    """A host program joins with the same call as a board."""
    assert in_network(_cpython_listens, tmp_path) == [(1, b"on"), (1, b"off")]


def test_micropython_hears_cpython(in_network, tmp_path):
    """What CPython seals, MicroPython opens."""
    assert in_network(_cpython_sends, tmp_path) is True


def _burst(folder):
    group_file = _provision(folder, "switch")
    stage = Stage(folder, folder / "code", group_file)
    lamp = stage.add("lamp", "demo_lamp")
    switch = stage.add("switch", "demo_switch", sender=True)
    try:
        stage.start(lamp)
        stage.start(switch)
        lamp.pause(True)
        stage.command(switch, *["on", "off"] * 4)
        for _ in range(8):
            stage.attack(b"junk")
        lamp.pause(False)
        stage.count([lamp])
        return lamp.counts["accepted"], lamp.dropped()
    finally:
        stage.close()


def test_datagrams_that_wait_together_stay_apart(in_network, tmp_path):
    """A queue of datagrams, with junk behind it, is taken one at a time."""
    assert in_network(_burst, tmp_path) == (8, {"malformed": 8})


def test_micropython_is_what_runs():
    """The peer above is MicroPython, not CPython under another name."""
    done = subprocess.run([micropython.find(), "-c", "import sys; print(sys.implementation.name)"], capture_output=True, text=True)
    assert done.stdout.strip() == "micropython"
