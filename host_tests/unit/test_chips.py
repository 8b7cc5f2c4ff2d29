# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The application and the examples on each board of boards.toml, with doubles of the chips: host_tests/chips.py says which."""

import ast
import asyncio
import importlib
import json
import runpy
import sys
import types
from pathlib import Path

import pytest

from dicectl import resources
from dicectl.board import needs
from dicectl.firmware import boards
from dicectl.net import virtual
from host_tests.chips import CELSIUS, CHIPS, Board

BOARDS = list(boards.load().values())
each_board = pytest.mark.parametrize("spec", [spec for spec in BOARDS if spec.chip in CHIPS], ids=lambda spec: spec.name)
ESPS = [spec for spec in BOARDS if spec.port == "esp32"]
EXAMPLES = sorted(path.stem for path in resources.EXAMPLES.glob("*.py"))
BESIDE_WIFI = {"boot", "collector", "lamp", "resources", "sensor", "sleeper", "switch"}  # examples that need a network


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Return a function that makes the current folder the file system of a board, as `dicectl deploy` leaves it."""
    monkeypatch.chdir(tmp_path)
    for folder in (resources.APP, resources.EXAMPLES):
        monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)

    def install(spec, program=resources.APP / "main.py"):
        for path, data in needs.pins(spec.machine, {"/main.py": program}).items():
            (tmp_path / path.lstrip("/")).write_bytes(data)
        return Board(spec).install(monkeypatch)

    yield install
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(resources.FIRMWARE)):
            del sys.modules[name]


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


@pytest.mark.parametrize("spec", BOARDS, ids=lambda spec: spec.name)
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


class Found(Exception):
    """Ends an example where it would use the network."""


def _network_ends(monkeypatch, example):
    """Let each call of an example that uses the network, or sleeps, end it."""

    async def end(*arguments, **options):
        raise Found

    module = importlib.import_module(example)
    for name in ("join", "connect", "serve"):
        for place in (module, getattr(module, "dice", None)):
            if place and hasattr(place, name):
                monkeypatch.setattr(place, name, end)
    return module


SETTINGS = {"identity": "a", "key": "00" * 16, "secret": "00" * 16, "host": "192.0.2.1", "port": 5684}


def _begin(place, monkeypatch, spec, example):
    board = place(spec, resources.EXAMPLES / f"{example}.py")
    for name in ("node.json", "session.json", "wifi.json"):
        with open(name, "w") as file:
            json.dump({**SETTINGS, "ssid": "house", "password": "x"}, file)
    with open("keys.json", "w") as file:
        json.dump({"a": "00" * 16}, file)
    if spec.network:
        board.modules["network"].station.calls.append("connect")  # it is connected
    if example == "boot":
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        return board, runpy.run_path(str(resources.EXAMPLES / "boot.py"))
    module = _network_ends(monkeypatch, example)
    with pytest.raises(Found):
        asyncio.run(module.main())
    return board, module


RUNS = [
    (spec, example)
    for spec in BOARDS
    if spec.chip in CHIPS
    for example in EXAMPLES
    if (spec.network or example not in BESIDE_WIFI) and (spec.port == "esp32" or example != "radio")
]


@pytest.mark.parametrize("spec, example", RUNS, ids=lambda value: getattr(value, "name", value))
def test_each_example_begins_on_each_board_that_it_names(place, monkeypatch, spec, example):
    """Up to the first call that uses the network, with the files that `dicectl deploy` leaves."""
    board, module = _begin(place, monkeypatch, spec, example)
    if example == "boot":
        assert len(board.timers) == 1 and module["station"] is not None
    if example in ("lamp", "bus", "radio", "resources"):
        assert board.modes[spec.pins["LED"]] in (3, None)
    if example in ("switch", "bus", "radio"):
        assert board.levels[spec.pins["BUTTON"]] == 1, "it is pulled up"
    if example == "bus":
        assert board.uart[0] == spec.pins["UART"]
    if example == "sleeper":
        assert module.measure() == b"32768", "the middle of 3.3 V"
    if example == "resources":
        request = types.SimpleNamespace(code=module.PUT, payload=b"on")
        assert module.lamp(request, None)[0] == module.CHANGED and board.levels[spec.pins["LED"]] == 1


@pytest.mark.parametrize("spec", ESPS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("example", ["lamp", "resources", "bus"])
def test_an_example_without_the_pin_that_it_needs_says_what_to_do(place, monkeypatch, spec, example):
    """Copied by hand to an ESP32, without pins.json."""
    place(spec)
    Path("pins.json").unlink()
    module = _network_ends(monkeypatch, example)
    with pytest.raises(ValueError, match=r"invalid pin: pins.json must name a pin of this board, such as \{\"LED\": 4\}"):
        asyncio.run(module.main())


def test_the_bus_of_an_esp32_is_not_its_console(place):
    place(boards.find("ESP32_GENERIC"))
    Path("pins.json").unlink()
    with pytest.raises(ValueError, match="must name another"):
        importlib.import_module("bus").line()


@pytest.mark.parametrize("example", ["sensor", "sleeper"])
def test_a_board_with_ethernet_alone_is_online(place, monkeypatch, example):
    place(boards.find("ESP32_GENERIC"))
    monkeypatch.setitem(sys.modules, "network", types.SimpleNamespace())
    assert importlib.import_module(example).online()


def test_boot_on_a_board_without_wifi_says_so(place, monkeypatch, capsys):
    for spec in (boards.find("RPI_PICO"), boards.find("ESP32_GENERIC")):
        board = place(spec)
        monkeypatch.setitem(sys.modules, "network", types.SimpleNamespace() if spec.network else None)
        runpy.run_path(str(resources.EXAMPLES / "boot.py"))
        assert "no Wi-Fi in this firmware" in capsys.readouterr().out and board.timers == []


def test_wifi_is_connected_by_a_driver_without_the_option_of_power_saving(place, capsys):
    board = place(boards.find("ESP32_GENERIC"))

    def unknown(**options):
        raise ValueError("unknown config param")

    board.modules["network"].station.config = unknown
    with open("wifi.json", "w") as file:
        json.dump({"ssid": "house", "password": "x"}, file)
    importlib.import_module("link").up({})
    assert board.modules["network"].station.calls == ["active", "connect"]
    runpy.run_path(str(resources.EXAMPLES / "boot.py"))
    assert board.modules["network"].station.calls == ["active", "connect"] * 2


def _constant_calls(path):
    """Yield (called, first argument) of the calls in a program whose first argument is written down."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args and isinstance(node.args[0], ast.Constant):
            yield node.func.id, node.args[0].value


@pytest.mark.parametrize(
    "path", sorted(resources.FIRMWARE.rglob("*.py")), ids=lambda path: path.relative_to(resources.FIRMWARE).as_posix()
)
def test_no_program_writes_down_a_pin_a_converter_a_timer_or_a_uart(path):
    """The table of pins has one home. Only the thermometer of an RP2 has a channel of its own."""
    found = {call for call in _constant_calls(path) if call[0] in ("Pin", "ADC", "UART", "Timer", "I2C", "SPI", "PWM", "WDT")}
    assert found <= {("ADC", 4)}


@pytest.mark.parametrize("example", ["switch", "bus", "sleeper"])
def test_what_a_program_uses_without_a_table_are_the_pins_of_a_pico(example):
    module = importlib.util.spec_from_file_location(f"{example}_of_a_pico", resources.EXAMPLES / f"{example}.py")
    loaded = importlib.util.module_from_spec(module)
    module.loader.exec_module(loaded)
    usual = boards.usual_pins()
    assert getattr(loaded, "_BUTTON", usual["BUTTON"]) == usual["BUTTON"]
    assert getattr(loaded, "_ADC", usual["ADC"]) == usual["ADC"]
    assert usual["LED"] == "LED" and usual["UART"] == 0
