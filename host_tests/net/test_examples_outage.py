# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The programs that users copy survive a network or a server that is away for a while (invariants 6 and 7)."""

import fcntl
import json
import socket
import subprocess
import time

from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from dicectl.net import namespace
from host_tests.net.test_examples import MACHINE, ExampleBoard
from host_tests.patience import until

_SIOCADDRT, _SIOCDELRT = 0x890B, 0x890C
KEY = "00112233445566778899aabbccddeeff"
FASTER = (  # ten minutes become a second, and a minute of patience three
    "import asyncio, dice, {name} as program\n"
    "connect, sleep = dice.connect, asyncio.sleep\n"
    "dice.connect = lambda *a, **o: connect(*a, timeout_s=3, **o)\n"
    "asyncio.sleep = lambda s: sleep(min(s, 1))\n"
    "asyncio.run(program.main())\n"
)


def route(there):
    """Add or remove the route of multicast."""
    entry = namespace._RouteEntry(dst=namespace._inet("239.0.0.0"), genmask=namespace._inet("255.0.0.0"), flags=1, dev=b"lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCADDRT if there else _SIOCDELRT, bytes(entry))


def press(switch):
    switch.press(True)
    level = switch._folder / "level"
    until(lambda: level.exists() and level.read_text() == "0", "a look at the button")
    switch.press(False)


def _outage(folder):
    group = group_file.new("lamps")
    group_file.add_sender(group, "switch")
    group_file.create(folder / "lamps.group", group)
    route(False)
    lamp = ExampleBoard(folder, "lamp", folder / "lamps.group")
    switch = ExampleBoard(folder, "switch", folder / "lamps.group", "switch")
    try:
        lines = [lamp.next_line(), lamp.next_line(), switch.next_line(), switch.next_line()]
        route(True)
        lamp.until_joined()
        switch.until_joined()
        press(switch)
        lines.append(lamp.next_line())
        route(False)
        press(switch)
        lines.append(switch.next_line())
        route(True)
        press(switch)
        lines.append(lamp.next_line())
        assert lamp.process.poll() is None and switch.process.poll() is None
        return lines
    finally:
        lamp.power_off()
        switch.power_off()


def test_a_lamp_and_a_switch_wait_for_a_network_and_survive_its_loss(in_network, tmp_path):
    """They start without a network, as after a power failure that the access point shares."""
    lines = in_network(_outage, tmp_path)
    assert [line for line in lines if "pin" in line or "light" in line] == [
        "pin LED out None",
        "pin 14 in pulled up",
        "light True",
        "light True",
    ]
    assert len([line for line in lines if "ENODEV" in line or line == "101"]) == len(lines) - 4


def start(folder, name, file, said):
    """Start an example whose waits are shortened."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / file).write_text(json.dumps(said))
    environment = unix_port.environment(f"{resources.EXAMPLES}:{folder}:{resources.LIB}")
    argv = [unix_port.find(), "-c", FASTER.format(name=name)]
    return subprocess.Popen(argv, cwd=folder / name, env=environment, stdout=subprocess.PIPE, text=True)


def _server_away(folder):
    said = {"host": "127.0.0.1", "port": 5684, "identity": "sensor-7", "key": KEY}
    sensor = start(folder, "sensor", "session.json", said)
    programs = [sensor]
    try:
        lines = [sensor.stdout.readline()]
        for _ in range(2):
            collector = start(folder, "collector", "keys.json", {"sensor-7": KEY})
            programs.append(collector)
            lines.append(collector.stdout.readline())
            while not (line := sensor.stdout.readline()).startswith("b"):
                pass
            lines.append(line)
            collector.kill()
            collector.wait()
            while (line := sensor.stdout.readline()).startswith("b"):
                pass
            lines.append(line)
        assert sensor.poll() is None
        return lines
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def test_a_sensor_survives_a_server_that_is_away(in_network, tmp_path):
    first, *rest = in_network(_server_away, tmp_path)
    assert first.startswith("E5")
    for heard, answer, error in (rest[:3], rest[3:]):
        assert heard == "b'sensor-7' b'18.5'\n" and answer == "b'thanks'\n" and error.startswith("E5")


def _port_taken(folder):
    (folder / "machine.py").write_text(MACHINE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 5684))
        collector = start(folder, "collector", "keys.json", {"sensor-7": KEY})
        node = start(folder, "resources", "node.json", {"identity": "lamp-1", "key": KEY})
        try:
            lines = [collector.stdout.readline(), node.stdout.readline()]
            time.sleep(0.1)
            assert collector.poll() is None and node.poll() is None
            return lines
        finally:
            for program in (collector, node):
                program.kill()
                program.communicate()


def test_servers_survive_a_port_that_cannot_be_opened_yet(in_network, tmp_path):
    assert all("EADDRINUSE" in line for line in in_network(_port_taken, tmp_path))
