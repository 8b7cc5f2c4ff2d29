# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The examples on each board of boards.toml, with doubles of the chips: host_tests/chips.py says which."""

import ast
import asyncio
import dataclasses
import importlib
import json
import runpy
import sys
import types
from pathlib import Path

import pytest

import dice
from dice.crypto import curve
from dicectl import resources
from dicectl.firmware import boards
from host_tests.chips import BOARDS, CELSIUS, CHIPS, ESPS, board_in_place  # noqa: F401 - a fixture

EXAMPLES = sorted(path.stem for path in resources.EXAMPLES.glob("*.py"))
# Examples that need a network.
BESIDE_WIFI = {
    "boot",
    "collector",
    "keyed_sensor",
    "lamp",
    "resources",
    "sensor",
    "sleeper",
    "switch",
}


class Found(BaseException):
    """Ends an example where it would use the network: no example catches it."""


def _network_ends(monkeypatch, example):
    """Let each call of an example that uses the network, or sleeps, end it."""

    async def end(*arguments, **options):
        raise Found

    async def serve(*arguments, **options):
        return types.SimpleNamespace(wait_closed=end, close=lambda: None)

    module = importlib.import_module(example)
    user = getattr(module, "dice", module)  # an example may import the names themselves
    for name, call in (("join", end), ("connect", end), ("serve", serve)):
        if hasattr(user, name):
            monkeypatch.setattr(user, name, call)
    return module


POINT = curve.public(bytes(31) + b"\1").hex()
SETTINGS = {"server": POINT, "identity": "a", "key": "00" * 16, "secret": "00" * 16, "host": "192.0.2.1", "port": 5684}


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
        asyncio.run(asyncio.wait_for(module.main(), 30))
    return board, module


RUNS = [
    (spec, example)
    for spec in BOARDS
    if spec.chip in CHIPS
    for example in EXAMPLES
    if (spec.network or example not in BESIDE_WIFI) and ((spec.port == "esp32" and spec.network) or example != "radio")
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
    if example == "keyed_sensor":
        assert bytes.fromhex(Path("own.pub").read_text()) == curve.public(Path("own.key").read_bytes())
    if example == "resources":
        request = types.SimpleNamespace(code=module.PUT, payload=b"on")
        assert module.lamp(request, None)[0] == module.CHANGED and board.levels[spec.pins["LED"]] == 1


@pytest.mark.parametrize("spec", ESPS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("example", ["lamp", "resources", "bus"])
def test_an_example_without_the_pin_that_it_needs_says_what_to_do(place, monkeypatch, spec, example):
    """Copied by hand to an ESP32, without pins.json."""
    place(spec)
    Path("node.json").write_text(json.dumps(SETTINGS))
    Path("pins.json").unlink()
    module = _network_ends(monkeypatch, example)
    with pytest.raises(ValueError, match=r"invalid pin: pins.json must name a pin of this board, such as \{\"LED\": 4\}"):
        asyncio.run(module.main())


@pytest.mark.parametrize(
    "lacking, said",
    [("pin", 'must name a pin of this board, such as {"ADC": 4}'), ("settings", "JSONDecodeError"), ("identity", "KeyError")],
)
@pytest.mark.parametrize("spec", [spec for spec in ESPS if spec.network], ids=lambda spec: spec.name)
def test_a_sensor_that_cannot_report_sleeps_and_says_why(place, monkeypatch, capsys, spec, lacking, said):
    """Copied by hand to an ESP32, without a file or with an unfinished one: it would drain its battery if it stayed awake."""
    board = place(spec, resources.EXAMPLES / "sleeper.py")
    board.modules["network"].station.calls.append("connect")
    settings = {name: value for name, value in SETTINGS.items() if name != lacking}
    Path("session.json").write_text("{" if lacking == "settings" else json.dumps(settings))
    if lacking == "pin":
        Path("pins.json").unlink()
    monkeypatch.setattr(dice, "now", lambda: 0)  # outside of a loop a board has a time, and CPython none
    runpy.run_path(str(resources.EXAMPLES / "sleeper.py"), run_name="__main__")
    assert said in capsys.readouterr().out and board.slept == [30_000]


@pytest.mark.parametrize("example, pico", [("switch", True), ("bus", True), ("radio", False)])
@pytest.mark.parametrize("spec", BOARDS, ids=lambda spec: spec.name)
def test_a_pin_that_no_table_names_is_said_if_it_may_be_another(place, capsys, spec, example, pico):
    """GPIO 14 exists on most ESP32s, and is not the button."""
    if spec.chip not in CHIPS or (spec.port == "rp2" and not pico):
        return
    board = place(spec)
    Path("pins.json").write_text('{"LED": 2}')
    module = importlib.import_module(example)
    usual = module._BUTTON
    if usual in board.chip.pins:
        module.pin("BUTTON", usual, 1, 2)
        assert board.levels == {usual: 1}
    else:
        with pytest.raises(ValueError, match=r"such as \{\"BUTTON\": 4\}"):
            module.pin("BUTTON", usual, 1, 2)
    said = "" if spec.port == "rp2" else f"pins.json names no BUTTON: {usual} is used, as on {'a Pico' if pico else 'an ESP32'}\n"
    assert capsys.readouterr().out == said
    module.pin("LED", "LED", 3)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("chip", ["rp2040", "rp2350", "rp2350b"])
def test_the_temperature_of_a_chip_comes_from_its_own_channel(place, chip):
    """That of an RP2350 with 80 pins is 8; 4 is a pin there."""
    place(dataclasses.replace(boards.find("RPI_PICO2"), chip=chip))
    assert importlib.import_module("resources").temperature(None, None)[1] == b"%.1f" % CELSIUS
    assert importlib.import_module("sensors").chip() == b"%.1f" % CELSIUS


def test_the_bus_of_an_esp32_is_not_its_console(place):
    place(boards.find("ESP32_GENERIC"))
    Path("pins.json").unlink()
    with pytest.raises(ValueError, match="must name another"):
        importlib.import_module("bus").line()


@pytest.mark.parametrize("example", ["keyed_sensor", "sensor", "sleeper"])
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
    """The table of pins has one home."""
    found = {call for call in _constant_calls(path) if call[0] in ("Pin", "ADC", "UART", "Timer", "I2C", "SPI", "PWM", "WDT")}
    assert found == set()


@pytest.mark.parametrize("example", ["switch", "bus", "sleeper"])
def test_what_a_program_uses_without_a_table_are_the_pins_of_a_pico(example):
    module = importlib.util.spec_from_file_location(f"{example}_of_a_pico", resources.EXAMPLES / f"{example}.py")
    loaded = importlib.util.module_from_spec(module)
    module.loader.exec_module(loaded)
    usual = boards.usual_pins()
    assert getattr(loaded, "_BUTTON", usual["BUTTON"]) == usual["BUTTON"]
    assert getattr(loaded, "_ADC", usual["ADC"]) == usual["ADC"]
    assert usual["LED"] == "LED" and usual["UART"] == 0


def test_the_bus_says_once_why_it_cannot_join_and_who_explains_it(place, monkeypatch, capsys):
    place(boards.find("RPI_PICO"))
    bus = importlib.import_module("bus")
    outcomes = [dice.StoreError(31), dice.StoreError(31), OSError("no line"), dice.StoreError(31)]

    async def join(*_, **__):
        if not outcomes:
            raise Found
        raise outcomes.pop(0)

    monkeypatch.setattr(bus.dice, "join", join)
    monkeypatch.setattr(bus, "line", lambda: None)
    monkeypatch.setattr(bus, "_AGAIN_S", 0)
    with pytest.raises(Found):
        asyncio.run(bus.main())
    assert capsys.readouterr().out == "E31: dicectl doctor E31\nno line\nE31: dicectl doctor E31\n"
