# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""First contact over loopback: the real manager and command, and MicroPython's unix port as the device."""

import json
import os
import re
import subprocess
import sys

import pytest

from dicectl.firmware import unix_port
from host_tests.patience import PATIENCE_S, until
from host_tests.ports import HOST, free_port

DICECTL = [sys.executable, "-m", "dicectl"]
# The program of docs/certificates.md, with another address.
DEVICE = """
import asyncio
from dice.aio.contact import contact
async def confirm(code):
    return input("Does the manager show %s? " % code) == "yes"
print(asyncio.run(contact(("127.0.0.1", PORT), confirm)) is not None)
"""
NODE = """
import asyncio, json, dice
from binascii import unhexlify
async def main():
    stored = json.load(open("node.json"))
    keys = dice.RawPublicKey(unhexlify(stored["private"]), [unhexlify(point) for point in stored["servers"]])
    await dice.connect((stored["manager"]["host"], stored["manager"]["port"]), keys, timer_ms=1000)
    print("connected")
asyncio.run(main())
"""


class House:
    """A manager with a group in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.environment = {**os.environ, "DICE_MANAGER": "house.db", "COLUMNS": "200"}
        self.started = []
        options = ("--new", "--port", str(self.port), "--host", HOST, "--json")
        manager = self.start([*DICECTL, "manager", "run", "house.db", *options])
        until(lambda: "serving" in manager.stdout.readline())
        self("group", "new", "lamps")

    def start(self, argv, environment=None):
        more = {"cwd": self.folder, "env": environment or self.environment, "text": True}
        pipe = subprocess.PIPE
        self.started.append(subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, **more))
        return self.started[-1]

    def __call__(self, *arguments):
        done = subprocess.run([*DICECTL, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def contact(self, name):
        """Start the command and the device; return both, and the codes that they show."""
        port = free_port()
        command = self.start([*DICECTL, "provision", "contact", name, "--group", "lamps:answering", "--port", str(port)])
        read(command, "waiting for a device")
        argv = [unix_port.find(), "-X", "heapsize=512k", "-c", DEVICE.replace("PORT", str(port))]
        device = self.start(argv, unix_port.environment())
        shown = re.search(r"\d{3} \d{3}", read(device, r"show \d{3} \d{3}"))[0]
        return command, device, re.search(r"\d{3} \d{3}", read(command, r"This is the code: +\d{3} \d{3}"))[0], shown

    def close(self):
        for process in self.started:
            process.kill()
            process.communicate()


def read(process, pattern):
    """Return what a process prints, up to a pattern; it may be part of a line."""
    said = ""
    while not re.search(pattern, said):
        part = process.stdout.read(1)
        assert part, said
        said += part
    return said


def answer(process, word):
    process.stdin.write(word + "\n")
    process.stdin.flush()


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    found = House(tmp_path_factory.mktemp("house"))
    yield found
    found.close()


def test_a_no_on_either_side_stores_nothing(house):
    for who in ("device", "operator"):
        command, device, _, _ = house.contact("lamp-7")
        if who == "device":
            answer(device, "no")
            assert "False" in device.communicate(timeout=PATIENCE_S)[0]
            answer(command, "y")
        else:
            answer(command, "n")
            answer(device, "yes")
        said, _ = command.communicate(timeout=PATIENCE_S)
        assert command.returncode == 1 and ("nothing was stored" in said or "begin again" in said), said
        device.communicate(timeout=PATIENCE_S)
        assert not (house.folder / "node.json").exists() and house("provision", "list", "--json") == []


def test_a_device_is_taken_in_by_a_code_and_is_a_node(house):
    command, device, code, shown = house.contact("lamp-7")
    assert code == shown
    answer(device, "yes")
    answer(command, "y")
    said, _ = command.communicate(timeout=PATIENCE_S)
    assert command.returncode == 0 and "the device has stored it" in said, said
    assert "True" in device.communicate(timeout=PATIENCE_S)[0]
    stored = json.loads((house.folder / "node.json").read_text())
    known = house("provision", "show", "lamp-7", "--json")
    assert known["kind"] == "rpk" and known["identity"] == stored["identity"] and known["fingerprint"] in said
    assert stored["groups"] == ["lamps"] and stored["private"] not in said + house("manager", "audit", "house.db")
    assert house("group", "show", "lamps", "--json")["members"] == 1
    # A program that connects with this file is the device, for the manager.
    done = house.start([unix_port.find(), "-X", "heapsize=512k", "-c", NODE], unix_port.environment())
    assert "connected" in done.communicate(timeout=PATIENCE_S)[0]
