# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The examples run unchanged: on MicroPython with pins that are files and lines, and boot.py with a network that is a list."""

import asyncio
import contextlib
import json
import runpy
import subprocess
import sys
import types

import pytest

import dice
from dice.aio.coap import Coap
from dice.coap.codes import BAD_REQUEST, CHANGED, CONTENT, GET, PUT
from dice.dtls.kx_psk import Psk
from dice.group.gsa import decode
from dicectl import resources
from dicectl.firmware import boards, unix_port
from dicectl.manager import group_file
from host_tests.certificates import Key
from host_tests.patience import until

# The button is pressed while a file `pressed` exists. The lamp prints its state.
MACHINE = """
import os

class Pin:
    IN, OUT, PULL_UP = "in", "out", "pulled up"

    def __init__(self, pin, mode, pull=None):
        print("pin", pin, mode, pull)

    def value(self, *light):
        if light:
            print("light", *light)
        level = 1 - ("pressed" in os.listdir())
        with open("level", "w") as file:  # the level that was read last
            file.write(str(level))
        return level
"""

# The thermometer of the original ESP32, in degrees Fahrenheit.
ESP32 = """
def raw_temperature():
    return 77
"""


class ExampleBoard:
    """An example as main.py of a board with a folder of its own."""

    def __init__(self, folder, example, group_path, sender=None, pins=None):
        self._folder = folder / example
        self._folder.mkdir()
        group_file.export(group_path, self._folder / f"{example}.gsa", sender)
        (self._folder / "machine.py").write_text(MACHINE)
        if pins:
            (self._folder / "pins.json").write_text(json.dumps(pins))
        argv = [unix_port.find(), str(resources.EXAMPLES / f"{example}.py")]
        environment = unix_port.environment(f"{self._folder}:{resources.LIB}")
        self.process = subprocess.Popen(argv, cwd=self._folder, env=environment, stdout=subprocess.PIPE, text=True)

    def until_joined(self):
        """Wait until the program has rewritten its GSA."""
        while any(path.suffix == ".tmp" for path in self._folder.iterdir()) or not self._is_joined():
            assert self.process.poll() is None

    def _is_joined(self):
        path = next(self._folder.glob("*.gsa"))
        return not decode(path.read_bytes()).fresh

    def press(self, pressed):
        """Press the button, or release it for a moment."""
        if pressed:
            (self._folder / "pressed").touch()
        else:
            (self._folder / "pressed").unlink()
            until(lambda: (self._folder / "level").read_text() == "1", "a look at the button")

    def next_line(self):
        """Return the next line of output."""
        return self.process.stdout.readline().strip()

    def power_off(self):
        """Power off; return the remaining output."""
        self.process.kill()
        return "" if self.process.stdout.closed else self.process.communicate()[0]


@contextlib.contextmanager
def lamp_and_switch(folder, pins=None):
    """Yield the ExampleBoards of a lamp and of the switch of its group."""
    group = group_file.new("lamps")
    group_file.add_sender(group, "switch")
    group_file.create(folder / "lamps.group", group)
    lamp = ExampleBoard(folder, "lamp", folder / "lamps.group", pins=pins)
    switch = ExampleBoard(folder, "switch", folder / "lamps.group", "switch", pins)
    try:
        yield lamp, switch
    finally:
        lamp.power_off()
        switch.power_off()


def _press_thrice(folder, pins):
    with lamp_and_switch(folder, pins) as (lamp, switch):
        lamp.until_joined()
        switch.until_joined()
        pins = [lamp.next_line()] + [switch.next_line() for _ in range(1 if pins else 2)]
        lights = []
        for _ in range(3):
            switch.press(True)
            lights.append(lamp.next_line())
            switch.press(False)
        return pins, lights, lamp.power_off()


@pytest.mark.parametrize("board", [None, "ESP32_GENERIC_C3"])
def test_each_press_of_the_switch_toggles_the_lamp_once(in_network, tmp_path, board):
    """However long the button is held; with the pins of a Pico, or of another board."""
    pins, lights, rest = in_network(_press_thrice, tmp_path, boards.find(board).pins if board else None)
    usual = ["pin LED out None", "pins.json names no BUTTON: 14 is used, as on a Pico", "pin 14 in pulled up"]
    assert pins == (["pin 5 out None", "pin 9 in pulled up"] if board else usual)
    assert lights == ["light True", "light False", "light True"]
    assert rest == ""


class FakeNetworkModule:
    """The parts of the modules `network` and `machine` that boot.py uses. It is connected at the `patience`-th check, if ever."""

    STA_IF = "station"

    def __init__(self, patience):
        self.done = []
        self.left = patience
        self.timers = []

    def WLAN(self, interface):
        """Return the interface, which is the same object."""
        self.done.append(interface)
        return self

    def Timer(self, number, period, callback):
        self.timers.append((number, period, callback))

    def active(self, on):
        self.done.append(("active", on))

    def config(self, **options):
        self.done.append(options)

    def connect(self, *credentials):
        self.done.append(credentials)

    def isconnected(self):
        self.left -= 1
        return self.left == 0


BEGUN = [("active", True), {"pm": 0}, ("house", "secret")]


def boot(monkeypatch, tmp_path, patience):
    """Run boot.py; return the network, the seconds that it has waited, and wifi.json."""
    wifi = FakeNetworkModule(patience)
    slept = []
    path = tmp_path / "wifi.json"
    path.write_text(json.dumps({"ssid": "house", "password": "secret"}))
    monkeypatch.chdir(tmp_path)
    for name in ("network", "machine"):
        monkeypatch.setitem(sys.modules, name, wifi)
    monkeypatch.setitem(sys.modules, "time", types.SimpleNamespace(sleep=slept.append))
    runpy.run_path(str(resources.EXAMPLES / "boot.py"))
    return wifi, sum(slept), path


@pytest.mark.parametrize(
    "patience, waited_s, printed",
    [(1, 0, ""), (5, 0.4, ""), (0, 20, "no Wi-Fi yet: check wifi.json\n")],
    ids=["at once", "soon", "never"],
)
def test_boot_connects_to_wifi_or_continues_after_20_seconds(tmp_path, monkeypatch, capsys, patience, waited_s, printed):
    """Without power saving. Without Wi-Fi it prints that and lets main.py run."""
    wifi, slept_s, _ = boot(monkeypatch, tmp_path, patience)
    assert wifi.done == ["station", *BEGUN]
    assert slept_s == pytest.approx(waited_s)
    assert capsys.readouterr().out == printed


def test_boot_prints_what_fails_once_and_not_at_each_look(tmp_path, monkeypatch, capsys):
    """The timer printed each time, into what `dicectl deploy` read from the board."""
    wifi, _, path = boot(monkeypatch, tmp_path, 1)
    ((_, _, look),) = wifi.timers
    wifi.left = 0
    path.unlink()
    for _ in range(3):
        look(None)
    path.write_text("{")
    for _ in range(3):
        look(None)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("Wi-Fi: [Errno 2]") and second.startswith("Wi-Fi: ") and first != second


def test_boot_looks_after_the_connection(tmp_path, monkeypatch, capsys):
    """The access point is slower than the board, or goes away; wifi.json is damaged for a while, and the driver fails."""
    wifi, _, path = boot(monkeypatch, tmp_path, 1)
    ((number, period_ms, look),) = wifi.timers
    assert number == 0 and period_ms <= 30_000
    del wifi.done[:]
    wifi.left = 1
    look(None)
    assert wifi.done == [], "it is connected"
    for _ in range(2):
        look(None)
    assert wifi.done == 2 * [("active", False), *BEGUN]
    good = path.read_text()
    for damage in ("{", "[]"):
        path.write_text(damage)
        look(None)
    wifi.connect = None
    path.write_text(good)
    look(None)
    assert capsys.readouterr().out.count("Wi-Fi:") == 3


def _report(folder):
    key = "00112233445566778899aabbccddeeff"
    environment = unix_port.environment(resources.LIB)
    programs = []
    for name, file, said in (
        ("collector", "keys.json", {"sensor-7": key}),
        ("sensor", "session.json", {"host": "127.0.0.1", "port": 5684, "identity": "sensor-7", "key": key}),
    ):
        (folder / name).mkdir()
        (folder / name / file).write_text(json.dumps(said))
        argv = [unix_port.find(), str(resources.EXAMPLES / f"{name}.py")]
        programs.append(subprocess.Popen(argv, cwd=folder / name, env=environment, stdout=subprocess.PIPE, text=True))
    try:
        return [program.stdout.readline() for program in programs]
    finally:
        for program in programs:
            program.kill()
            program.communicate()


def test_the_sensor_reports_to_the_collector(in_network, tmp_path):
    assert in_network(_report, tmp_path) == ["b'sensor-7' b'18.5'\n", "b'thanks'\n"]


def _report_with_keys(folder):
    """Return what the sensor prints: with a raw public key, then with a certificate, of one key."""
    environment = unix_port.environment(resources.LIB)
    server = Key("server of sensors")
    (folder / "server.pem").write_bytes(server.pem())
    tool = [sys.executable, "-m", "dicectl"]

    def run(settings, credentials):
        """Return the public key and what the sensor prints after it; without credentials there is no server."""
        (folder / "session.json").write_text(json.dumps({"host": "127.0.0.1", "port": 5684, **settings}))
        programs = []
        if credentials:
            argv = [*tool, "dtls-server", "5684", "--key", "server.pem", *credentials, "--echo", "--host", "127.0.0.1"]
            programs.append(subprocess.Popen(argv, cwd=folder, stderr=subprocess.PIPE, text=True))
            programs[0].stderr.readline()  # it serves
        argv = [unix_port.find(), str(resources.EXAMPLES / "keyed_sensor.py")]
        programs.append(subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True))
        try:
            said, point = programs[-1].stdout.readline().rsplit(" ", 1)
            assert said == "public key"
            return point.strip(), programs[-1].stdout.readline() if credentials else ""
        finally:
            for program in programs:
                program.kill()
                program.communicate()

    raw = {"server": server.identity.hex()}
    point, _ = run(raw, None)
    heard = [run(raw, ["--peer-key", point]), run({"server": server.point.hex()}, ["--peer-key", "own.pub"])]
    (folder / "server.pub").write_bytes(server.public_pem)
    for command in (
        ["new", "home-ca"],
        ["sign", "home-ca", "server.pub", "--name", "hub.test", "--usage", "server"],
        ["sign", "home-ca", "own.pub", "--name", "sensor-7.test", "--usage", "client", "--out", "own.der"],
    ):
        subprocess.run([*tool, "ca", *command], cwd=folder, check=True, capture_output=True)
    (folder / "ca.der").write_bytes((folder / "home-ca" / "ca.der").read_bytes())
    settings = {"name": "hub.test", "since": 1_800_000_000}
    heard.append(run(settings, ["--cert", "hub.test.pem", "--ca", "home-ca/ca.pem"]))
    return point, heard


def test_a_sensor_with_a_key_of_its_own_reports_with_a_raw_public_key_and_with_a_certificate(in_network, tmp_path):
    point, heard = in_network(_report_with_keys, tmp_path)
    assert heard == [(point, "b'18.5'\n")] * 3


def _read_resources(folder):
    key = "00112233445566778899aabbccddeeff"
    (folder / "node.json").write_text(json.dumps({"identity": "lamp-1", "key": key}))
    (folder / "machine.py").write_text(MACHINE)
    (folder / "esp32.py").write_text(ESP32)
    environment = unix_port.environment(f"{folder}:{resources.LIB}")
    argv = [unix_port.find(), str(resources.EXAMPLES / "resources.py")]

    async def read():
        connection = await dice.connect(("127.0.0.1", 5684), Psk(b"lamp-1", bytes.fromhex(key)), timer_ms=200)
        peer = Coap(connection)
        answers = [
            await peer.request(GET, "temperature"),
            await peer.request(PUT, "lamp", b"on"),
            await peer.request(PUT, "lamp", b"dim"),
            await peer.request(GET, "lamp"),
        ]
        peer.close()
        return [(answer.code, answer.payload) for answer in answers]

    with subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as node:
        try:
            return asyncio.run(read())
        finally:
            node.kill()


def test_the_resources_of_the_example_are_read_and_written(in_network, tmp_path):
    answers = in_network(_read_resources, tmp_path)
    assert answers == [(CONTENT, b"25.0"), (CHANGED, b""), (BAD_REQUEST, b"on or off"), (CONTENT, b"on")]
