# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The application on each board of boards.toml, with doubles of the chips: host_tests/chips.py says which."""

import asyncio
import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.firmware import boards, unix_port
from dicectl.net import virtual
from host_tests.chips import BOARDS, CELSIUS, CHIPS, ESPS, Board, board_in_place  # noqa: F401 - a fixture

each_board = pytest.mark.parametrize("spec", [spec for spec in BOARDS if spec.chip in CHIPS], ids=lambda spec: spec.name)


def in_virtual_time(main):
    loop = virtual.Loop()
    try:
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def test_each_chip_has_a_double_and_each_board_has_pins():
    """Ports that dice has no firmware for may do without: their users name the pins."""
    for spec in BOARDS:
        if spec.port in ("esp32", "rp2"):
            assert spec.chip in CHIPS, f"{spec.chip}: add what it has to host_tests/chips.py"
            assert set(spec.pins) == {"LED", "BUTTON", "ADC", "UART", "TX", "RX"}, spec.name


@each_board
def test_the_pins_of_a_board_exist_and_are_free(spec):
    """The LED can be driven, the ADC works beside Wi-Fi, the UART is not the console, and no pin has two uses."""
    board = Board(spec)
    machine = board.modules["machine"]
    machine.Pin(spec.pins["LED"], machine.Pin.OUT)
    machine.Pin(spec.pins["BUTTON"], 1, machine.Pin.PULL_UP)
    machine.ADC(spec.pins["ADC"])
    machine.UART(spec.pins["UART"], 115200, tx=machine.Pin(spec.pins["TX"], 3), rx=machine.Pin(spec.pins["RX"]))
    assert spec.pins["UART"] != board.chip.console
    used = [spec.pins[name] for name in ("LED", "BUTTON", "ADC", "TX", "RX")]
    assert len(set(used)) == len(used)


@each_board
def test_the_light_of_the_node_blinks_and_is_the_lamp_on_each_board(place, spec):
    """Without a timer: firmware numbers them differently."""
    board = place(spec)
    seen = []

    async def main():
        led = importlib.import_module("status").Led("LED")
        pin = spec.pins["LED"]
        for word, period_s in (("joining", 0.5), ("trouble", 0.1)):
            led.show(word)
            await asyncio.sleep(0.51)  # the end of a slow blink
            levels = []
            for _ in range(6):
                levels.append(board.levels[pin])
                await asyncio.sleep(period_s)
            seen.append(levels)
        led.light(True)
        led.show("joined")
        assert board.levels[pin] == 1
        await asyncio.sleep(2)
        assert board.levels[pin] == 1, "it blinks no more"
        led.show("joining")
        led.light(False)
        led.show("closed")
        await asyncio.sleep(2)
        assert board.levels[pin] == 0

    in_virtual_time(main)
    for levels in seen:
        assert levels in ([0, 1] * 3, [1, 0] * 3)
    assert board.timers == []


@pytest.mark.parametrize("spec", ESPS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("pin", ["LED", 99, [], True])
def test_a_light_that_a_board_has_not_ends_no_node(place, spec, pin, capsys):
    """Without pins.json an ESP32 knows no pin "LED". The node says what to do, and prints the state of the lamp."""
    board = place(spec)
    Path("pins.json").unlink()
    led = importlib.import_module("status").Led(pin)
    said = capsys.readouterr().out
    assert "pins.json" in said and "LED" in said and ("invalid pin" in said or pin == [])
    led.light(True)
    led.show("trouble")
    assert capsys.readouterr().out == "light True\n" and board.levels == {}


@pytest.mark.parametrize("damage", ["{", "[]", "7", '{"LED": "x"}', '{"LED": {}}'])
def test_a_damaged_table_of_pins_ends_no_node(place, tmp_path, capsys, damage):
    place(boards.find("ESP32_GENERIC"))
    (tmp_path / "pins.json").write_text(damage)
    importlib.import_module("status").Led("LED").light(True)
    said = capsys.readouterr().out
    assert "trouble" in said and "pins.json" in said and said.endswith("light True\n")


ON_MICROPYTHON = """
import asyncio, os
from status import Led

async def main():
    led = Led("LED")
    led.show("joining")
    led.show("trouble")
    await asyncio.sleep(0.25)
    led.light(True)
    led.show("joined")
    await asyncio.sleep(0.25)
    Led("GREEN").light(False)

asyncio.run(main())
import sensors
try:
    sensors.make("chip", {})()
except OSError as error:
    print(error)
"""
MACHINE = """
class Pin:
    OUT = 1
    def __init__(self, pin, mode):
        if pin != 5:
            raise ValueError("invalid pin")
        self.level = False
    def value(self, *level):
        if level:
            self.level = level[0]
            print("light", *level)
        return self.level
"""


def test_the_light_blinks_on_micropython(tmp_path):
    """With a double of Pin alone."""
    (tmp_path / "machine.py").write_text(MACHINE)
    (tmp_path / "pins.json").write_text('{"LED": 5}')
    (tmp_path / "main.py").write_text(ON_MICROPYTHON)
    environment = unix_port.environment(f"{tmp_path}:{resources.APP}:{resources.LIB}")
    argv = [unix_port.find(), "main.py"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    first, *blinks, on, again, trouble, off, sensor = done.stdout.splitlines()
    assert first == "light True" and blinks and set(blinks) == {"light True", "light False"}, done
    assert on == again == "light True", "the lamp, when it shows that it has joined and when the blinking ends"
    assert "GREEN" in trouble and "pins.json" in trouble and off == "light False"
    assert "another sensor" in sensor


def test_a_light_whose_driver_fails_ends_its_blinking_and_blinks_again_later(place, capsys):
    board = place(boards.find("ESP32_GENERIC"))

    async def main():
        led = importlib.import_module("status").Led("LED")
        pin, good = led._pin, led._pin.value

        def broken(*level):
            raise OSError(5, "burnt out")

        led.show("joining")
        await asyncio.sleep(1)
        pin.value = broken
        await asyncio.sleep(5)
        assert capsys.readouterr().out.count("burnt out") == 1, "once, not at each blink"
        pin.value = good
        led.show("trouble")
        await asyncio.sleep(0.001)
        before = board.levels[2]
        await asyncio.sleep(0.1)
        assert board.levels[2] != before

    in_virtual_time(main)


@each_board
def test_the_chips_temperature_is_read_on_each_board(place, spec):
    place(spec)
    value = float(importlib.import_module("sensors").make("chip", {})())
    assert value == pytest.approx(CELSIUS, abs=0.6)
    answer = importlib.import_module("resources").temperature(None, None)[1]
    assert float(answer) == pytest.approx(CELSIUS, abs=0.6)


@pytest.mark.parametrize("platform", ["linux", "pyboard", "nrf52", "esp8266"])
def test_a_chip_without_a_known_thermometer_says_so_when_it_is_read(place, monkeypatch, platform):
    """The formula of an RP2040 would return nonsense."""
    place(boards.find("RPI_PICO"))
    monkeypatch.setattr(sys, "platform", platform)
    read = importlib.import_module("sensors").make("chip", {})
    with pytest.raises(OSError, match="choose another sensor in app"):
        read()


@pytest.mark.parametrize("options", [{}, {"scl": 99, "sda": 98}, {"scl": "SCL", "sda": "SDA"}])
def test_a_sensor_that_a_board_has_not_costs_its_values_and_not_the_node(place, options):
    place(boards.find("ESP32_GENERIC_C3"))
    sensors = importlib.import_module("sensors")
    for name in ("lm75", "barometer"):
        read = sensors.make(name, options)
        for _ in range(2):
            with pytest.raises((KeyError, OSError, ValueError)):
                read()
    assert sensors.make("lm75", {"scl": 5, "sda": 4})() == b"25.0"


@each_board
def test_the_node_of_the_application_is_made_on_each_board(place, spec, monkeypatch, capsys):
    """With the options of docs/app.md; a board without a network has a serial line, whose UART is not the console."""
    board = place(spec)
    options = {"sensor": "chip", "led": "LED"} | ({} if spec.network else {"serial": {"address": "10.77.0.5"}})
    for name, said in (("app.json", options), ("wifi.json", {"ssid": "house", "password": "x"})):
        with open(name, "w") as file:
            json.dump(said, file)
    with open("node.json", "w") as file:
        json.dump({"identity": "lamp-1", "key": "00" * 16, "groups": [], "managers": []}, file)
    monkeypatch.setattr(importlib.import_module("link"), "sys", types.SimpleNamespace(platform=board.chip.platform))
    node = importlib.import_module("main").node()
    node._light(True)
    assert board.levels[spec.pins["LED"]] == 1
    assert float(node._sensor()) == pytest.approx(CELSIUS, abs=0.6)
    said = capsys.readouterr().out
    assert "trouble" not in said
    if not spec.network:
        assert board.uart[0] == spec.pins["UART"]


@pytest.mark.parametrize("spec", [spec for spec in BOARDS if spec.pins], ids=lambda spec: spec.name)
def test_a_serial_line_of_the_application_uses_the_pins_of_the_board(place, spec):
    """Also other pins, if app.json names them."""
    board = place(spec)
    link = importlib.import_module("link")
    link.up({"serial": {"address": "10.77.0.5"}})
    usual = spec.pins == boards.usual_pins()
    wires = (None, None) if usual else (spec.pins["TX"], spec.pins["RX"])
    assert board.uart == (spec.pins["UART"], *wires)
    link.up({"serial": {"address": "10.77.0.5", "uart": 1, "tx": 4, "rx": 5}})
    assert board.uart == (1, 4, 5)


def test_a_serial_line_on_the_console_of_an_esp32_is_refused(place, tmp_path):
    place(boards.find("ESP32_GENERIC"))
    (tmp_path / "pins.json").unlink()
    with pytest.raises(ValueError, match=r"console.*\"uart\": 1"):
        importlib.import_module("link").up({"serial": {"address": "10.77.0.5"}})


def test_a_node_without_a_network_and_without_a_line_says_what_it_needs(place, monkeypatch, capsys):
    place(boards.find("RPI_PICO"))
    monkeypatch.setitem(sys.modules, "socket", None)
    importlib.import_module("link").up({})
    assert '"serial"' in capsys.readouterr().out
