# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CPython and MicroPython in one group: `dice.join` on both, over real UDP multicast."""

import asyncio
import subprocess

import dice
from dicectl.demo import nodes
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from host_tests.patience import soon


def _provision(folder, *senders):
    group = group_file.new("lamps")
    for name in senders:
        group_file.add_sender(group, name)
    group_file.create(folder / "lamps.group", group)
    unix_port.compile_to(folder / "code")
    return folder / "lamps.group"


async def _next(group):
    return await soon(group.__anext__())


def _cpython_listens(folder):
    group_path = _provision(folder, "switch")
    group_file.export(group_path, folder / "host.gsa")
    testbed = nodes.Testbed(folder, folder / "code", group_path)
    switch = testbed.add("switch", "demo_switch", sender=True)

    async def listen():
        group = await dice.join(str(folder / "host.gsa"))
        testbed.start(switch)
        testbed.command(switch, "on", "off")
        received = [await _next(group), await _next(group)]
        group.close()
        return received

    try:
        return asyncio.run(listen())
    finally:
        testbed.close()


def _cpython_sends(folder):
    group_path = _provision(folder, "host")
    testbed = nodes.Testbed(folder, folder / "code", group_path)
    lamp = testbed.add("lamp", "demo_lamp")
    group_file.export(group_path, folder / "host.gsa", "host")

    async def send():
        group = await dice.join(str(folder / "host.gsa"))
        await group.send(b"off")
        await group.send(b"on")
        group.close()

    try:
        testbed.start(lamp)
        asyncio.run(send())
        testbed.until(lambda: lamp.obeyed == 2, "the lamp")
        return lamp.on
    finally:
        testbed.close()


def test_cpython_receives_from_micropython(in_network, tmp_path):
    """A host program joins with the same call as a board."""
    assert in_network(_cpython_listens, tmp_path) == [(1, b"on"), (1, b"off")]


def test_micropython_receives_from_cpython(in_network, tmp_path):
    """MicroPython opens the records that CPython seals."""
    assert in_network(_cpython_sends, tmp_path) is True


def _burst(folder):
    group_path = _provision(folder, "switch")
    testbed = nodes.Testbed(folder, folder / "code", group_path)
    lamp = testbed.add("lamp", "demo_lamp")
    switch = testbed.add("switch", "demo_switch", sender=True)
    try:
        testbed.start(lamp)
        testbed.start(switch)
        lamp.pause(True)
        testbed.command(switch, *["on", "off"] * 4)
        for _ in range(8):
            testbed.attack(b"junk")
        lamp.pause(False)
        testbed.count([lamp])
        return lamp.counts["accepted"], lamp.dropped()
    finally:
        testbed.close()


def test_queued_datagrams_are_received_one_at_a_time(in_network, tmp_path):
    """A queue of datagrams, followed by junk."""
    assert in_network(_burst, tmp_path) == (8, {"malformed": 8})


_LAMP = """
import asyncio, dice
async def main():
    group = await dice.join("lamp.gsa", answering=True)
    print("ready")
    async for _, message in group:
        await group.answer(b"received " + message)
asyncio.run(main())
"""
_SWITCH = """
import asyncio, dice
async def main():
    group = await dice.join("switch.gsa")
    print(await group.ask(b"lit?", 1000))
asyncio.run(main())
"""


def _micropython(folder, device, code):
    command = [unix_port.find(), "-c", code]
    environment = {"MICROPYPATH": f"{folder}/code:.frozen"}
    return subprocess.Popen(command, cwd=folder / device, env=environment, stdout=subprocess.PIPE, text=True)


def _group_request(folder):
    group_path = _provision(folder, "switch")
    with group_file.edit(group_path) as group:
        group_file.add_listener(group, "lamp")
        group_file.add_listener(group, "panel")
    for kind, name in (("listener", "lamp"), ("listener", "panel"), ("sender", "switch")):
        (folder / name).mkdir()
        group_file.export(group_path, folder / name / f"{name}.gsa", **{kind: name})

    async def panel():
        group = await dice.join(str(folder / "panel" / "panel.gsa"), answering=True)
        switch = _micropython(folder, "switch", _SWITCH)
        _, message = await soon(group.__anext__())
        await group.answer(b"panel received " + message)
        group.close()
        return switch

    lamp = _micropython(folder, "lamp", _LAMP)
    try:
        lamp.stdout.readline()
        with asyncio.run(panel()) as switch:
            return switch.stdout.read()
    finally:
        lamp.kill()
        lamp.wait()


def test_listeners_on_both_interpreters_answer_a_request(in_network, tmp_path):
    """A switch on MicroPython asks its group; a lamp on MicroPython and a panel on CPython answer it alone."""
    said = in_network(_group_request, tmp_path)
    assert eval(said) == {255: b"received lit?", 254: b"panel received lit?"}


def test_the_command_is_really_micropython():
    """The command used above is not CPython under another name."""
    done = subprocess.run([unix_port.find(), "-c", "import sys; print(sys.implementation.name)"], capture_output=True, text=True)
    assert done.stdout.strip() == "micropython"
