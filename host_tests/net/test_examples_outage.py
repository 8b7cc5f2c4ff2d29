# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The programs that users copy survive a network or a server that is away for a while (invariants 6 and 7)."""

import asyncio
import fcntl
import json
import re
import socket
import subprocess
import threading
import time

import dice
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.net import namespace
from host_tests.net.test_examples import ESP32, MACHINE, lamp_and_switch
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
    route(False)
    with lamp_and_switch(folder) as (lamp, switch):
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


def test_a_lamp_and_a_switch_wait_for_a_network_and_survive_its_loss(in_network, tmp_path):
    """They start without a network, as after a power failure that the access point shares."""
    lines = in_network(_outage, tmp_path)
    assert [line for line in lines if "pin" in line or "light" in line] == [
        "pin LED out None",
        "pins.json names no BUTTON: 14 is used, as on a Pico",
        "pin 14 in pulled up",
        "light True",
        "light True",
    ]
    assert len([line for line in lines if "ENODEV" in line or line == "101"]) == len(lines) - 5


def start(folder, name, file, said, before=()):
    """Start an example whose waits are shortened, by the command `before`."""
    (folder / name).mkdir(exist_ok=True)
    (folder / name / file).write_text(json.dumps(said))
    environment = unix_port.environment(f"{resources.EXAMPLES}:{folder}:{resources.LIB}")
    argv = [*before, unix_port.find(), "-c", FASTER.format(name=name)]
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


def network_down_and_up():
    """Let the only interface go down and up, after which its route of multicast has to be added again, as on a real computer."""
    for change in ("down", "up"):
        subprocess.run(["ip", "link", "set", "lo", change], check=True)
    route(True)


class DoubleNameServer(threading.Thread):
    """Answers that every name has the address 127.0.0.1, once it may."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.there = threading.Event()
        self.asked = threading.Event()

    def run(self):
        while True:
            query, source = self.socket.recvfrom(512)
            self.asked.set()
            if self.there.is_set():
                of_ipv4 = query[query.index(b"\0", 12) + 2] == 1
                answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1" if of_ipv4 else b""
                question = query[12 : query.index(b"\0", 12) + 5]
                self.socket.sendto(query[:2] + b"\x81\x80\0\1\0" + bytes((of_ipv4, 0, 0, 0, 0)) + question + answer, source)


def _name_server_away(folder):
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    names = DoubleNameServer()
    names.start()
    said = {"host": "collector.house", "port": 5684, "identity": "sensor-7", "key": KEY}
    mount = f"mount --bind {folder}/resolv.conf /etc/resolv.conf && exec "
    collector = start(folder, "collector", "keys.json", {"sensor-7": KEY})
    sensor = start(folder, "sensor", "session.json", said, ["unshare", "-m", "sh", "-c", mount + '"$0" "$@"'])
    try:
        assert names.asked.wait(30)
        lines = [sensor.stdout.readline()]
        names.there.set()
        while not (line := sensor.stdout.readline()).startswith("b'thanks"):
            assert line
        return [*lines, line]
    finally:
        for program in (collector, sensor):
            program.kill()
            program.communicate()


def test_a_sensor_survives_a_name_server_that_is_away(in_network, tmp_path):
    error, answer = in_network(_name_server_away, tmp_path)
    assert "addrinfo" in error or "-" in error
    assert answer == "b'thanks'\n"


def _servers_without_a_network(folder):
    (folder / "machine.py").write_text(MACHINE)
    (folder / "esp32.py").write_text(ESP32)
    node = start(folder, "resources", "node.json", {"identity": "lamp-1", "key": KEY})
    try:
        answers = []
        for _ in range(2):
            answers.append(asyncio.run(_temperature()))
            network_down_and_up()
        return answers
    finally:
        node.kill()
        node.communicate()


async def _temperature():
    while True:
        try:
            connection = await dice.connect(("127.0.0.1", 5684), dice.Psk(b"lamp-1", bytes.fromhex(KEY)), timer_ms=200, timeout_s=5)
        except dice.DiceError:  # it starts
            continue
        session = dice.Coap(connection)
        answer = await session.request(dice.GET, "temperature")
        session.close()
        return answer.payload


def test_a_server_survives_a_network_that_goes_down(in_network, tmp_path):
    assert in_network(_servers_without_a_network, tmp_path) == [b"25.0", b"25.0"]


def _group_without_a_network(folder):
    with lamp_and_switch(folder) as (lamp, switch):
        lamp.until_joined()
        switch.until_joined()
        lines = [lamp.next_line()]
        for _ in range(2):
            press(switch)
            lines.append(lamp.next_line())
            network_down_and_up()
        return lines


def test_a_lamp_and_a_switch_survive_a_network_that_goes_down(in_network, tmp_path):
    assert in_network(_group_without_a_network, tmp_path)[1:] == ["light True", "light False"]


SLEEPING = """
class ADC:
    def __init__(self, pin): pass
    def read_u16(self): return 7

def deepsleep(ms):
    print("sleeps", ms)
    raise SystemExit
"""


def _sleeper(folder):
    (folder / "machine.py").write_text(SLEEPING)
    said = {"host": "127.0.0.1", "port": 5684, "identity": "sensor-7", "key": KEY, "secret": KEY}
    (folder / "session.json").write_text(json.dumps(said))
    environment = unix_port.environment(f"{folder}:{resources.LIB}")
    faster = (  # a minute of patience becomes a second
        "import dice; patient = dice.connect; dice.connect = lambda *a, **o: patient(*a, timeout_s=1, **o)\n"
        f"exec(open({str(resources.EXAMPLES / 'sleeper.py')!r}).read())\n"
    )

    def wake():
        done = subprocess.run([unix_port.find(), "-c", faster], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
        return done.stdout.splitlines()

    lives = [wake()]
    collector = start(folder, "collector", "keys.json", {"sensor-7": KEY})
    try:
        while len(lives) < 9 and "sleeps 600000" not in lives[-1]:
            lives.append(wake())
        (folder / "saved").write_bytes(b"damaged")
        lives += [wake(), wake()]
    finally:
        collector.kill()
        collector.communicate()
    return [lives[0], *lives[-2:]]


def test_a_sensor_that_sleeps_survives_a_server_that_is_away_and_a_damaged_session(in_network, tmp_path):
    """It soon tries again, also with a session file that is damaged."""
    away, damaged, resumed = in_network(_sleeper, tmp_path)
    assert away[-1] == "sleeps 30000"
    sent = []
    for answer, awake, sleeps in (damaged, resumed):
        assert (answer, sleeps) == ("b'thanks'", "sleeps 600000")
        sent.append(int(re.search(r", (\d+) bytes sent", awake)[1]))
    assert sent[1] < 100 < sent[0], "the first of them has made a handshake, the second one has resumed"
