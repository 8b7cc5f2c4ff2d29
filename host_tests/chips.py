# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Doubles of MicroPython's modules `machine`, `esp32`, `network` and `espnow` for each chip of boards.toml; none is hardware.

They refuse what the firmware refuses, by the sources of its ports (1.24 to 1.28): ports/esp32/machine_pin.c, machine_adc.c,
machine_timer.c, modesp32.c and ports/rp2/machine_*.c. Pins of the flash, of the console and of USB are refused too, although some
firmware would accept them and stop.
"""

import sys
import types
from dataclasses import dataclass

import pytest

from dicectl import resources
from dicectl.board import needs
from dicectl.firmware import boards
from host_tests.portable import nvs_double

CELSIUS = 25
BOARDS = list(boards.load().values())
ESPS = [spec for spec in BOARDS if spec.port == "esp32"]


@dataclass(frozen=True)
class Chip:
    """The differences between chips. `adc`: pins of the converter that works beside Wi-Fi."""

    platform: str
    pins: frozenset
    adc: frozenset
    uarts: int
    console: int | None = None
    inputs: frozenset = frozenset()  # pins that cannot be outputs
    names: frozenset = frozenset()  # of pins
    thermometer: str | None = None  # the function in `esp32`
    core_temp: int | None = None  # the channel of the thermometer


def _set(*ranges):
    return frozenset(number for first, last in ranges for number in range(first, last + 1))


def _esp(pins, adc, uarts, inputs=frozenset(), thermometer="mcu_temperature"):
    return Chip("esp32", pins, adc, uarts, 0, inputs, thermometer=thermometer)


_RP2 = Chip("rp2", _set((0, 22), (26, 28)), _set((26, 28)), 2, names=frozenset({"LED"}), core_temp=4)
_ESP32 = _set((0, 0), (2, 2), (4, 5), (12, 15), (18, 23), (25, 27), (32, 39))
CHIPS = {
    "rp2040": _RP2,
    "rp2350": _RP2,
    "rp2350b": Chip("rp2", _set((0, 47)), _set((40, 47)), 2, core_temp=8),  # with 80 pins
    "esp32": _esp(_ESP32, _set((32, 39)), 3, _set((34, 39)), "raw_temperature"),
    "esp32s2": _esp(_set((0, 18), (21, 21), (33, 42), (45, 46)), _set((1, 10)), 2, _set((46, 46))),
    "esp32s3": _esp(_set((0, 18), (21, 21), (38, 42), (45, 48)), _set((1, 10)), 3),
    "esp32c3": _esp(_set((0, 10)), _set((0, 4)), 2),
    "esp32c5": _esp(_set((0, 10), (23, 28)), _set((1, 6)), 2),
    "esp32c6": _esp(_set((0, 11), (14, 15), (18, 23)), _set((0, 6)), 2),
    "esp32h2": _esp(_set((0, 5), (8, 14), (22, 22), (25, 25)), _set((1, 5)), 2),
    "esp32p4": _esp(_set((0, 23), (26, 36), (39, 54)), _set((16, 23)), 5),
}


class Board:
    """One board: its modules, and what programs have done with them."""

    def __init__(self, spec):
        self.spec = spec
        self.chip = CHIPS[spec.chip]
        self.levels = {}  # {pin: level}
        self.modes = {}
        self.uart = None  # the arguments of the last UART
        self.timers = []
        self.slept = []  # milliseconds of each deep sleep
        self.modules = {"machine": self._machine(), "esp32": self._esp32(), "network": self._network()}
        self.modules["espnow"] = self._espnow() if self.chip.platform == "esp32" else None

    def install(self, monkeypatch):
        """Put the modules and the platform in place; return self."""
        for name, module in self.modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(sys, "platform", self.chip.platform)
        return self

    def number(self, pin):
        """Return the pin, as Pin() and its like find it; raises as they do."""
        pin = getattr(pin, "pin", pin)
        if isinstance(pin, str):
            if pin not in self.chip.names:
                raise ValueError("invalid pin" if self.chip.platform == "esp32" else f'unknown named Pin "{pin}"')
        elif type(pin) is not int or pin not in self.chip.pins:
            raise ValueError("invalid pin")
        return pin

    def _machine(self):
        board = self

        class Pin:
            IN, OUT, PULL_UP = 1, 3, 2

            def __init__(self, pin, mode=None, pull=None):
                self.pin = board.number(pin)
                if mode == Pin.OUT and self.pin in board.chip.inputs:
                    raise ValueError("pin can only be input")
                board.modes[self.pin] = mode
                board.levels.setdefault(self.pin, int(pull == Pin.PULL_UP))

            def value(self, *level):
                if not level:
                    return board.levels[self.pin]
                board.levels[self.pin] = int(bool(level[0]))
                return None

        class RpAdc:
            CORE_TEMP = board.chip.core_temp

            def __init__(self, pin):
                self.hot = pin == board.chip.core_temp
                if not self.hot and board.number(pin) not in board.chip.adc:
                    raise ValueError("Pin doesn't have ADC capabilities")

            def read_u16(self):
                return round((0.706 - (CELSIUS - 27) * 0.001721) / 3.3 * 65535) if self.hot else 0x8000

        class EspAdc:
            ATTN_11DB = 3

            def __init__(self, pin):
                self.wide = False
                if board.number(pin) not in board.chip.adc:
                    raise OSError(-262, "ESP_ERR_NOT_SUPPORTED")  # or a timeout at each reading, while Wi-Fi is on

            def atten(self, number):
                self.wide = number == 3

            def read_u16(self):
                return 0x8000 if self.wide else 0xFFFF

        class Uart:
            def __init__(self, number, baud, rxbuf=256, tx=None, rx=None):
                if not 0 <= number < board.chip.uarts:
                    raise ValueError(f"UART({number}) does not exist")
                assert number != board.chip.console, "the console is lost"
                if board.chip.platform == "esp32":
                    assert tx and rx, "the default pins of an ESP32's second UART are those of its flash"
                board.uart = number, getattr(tx, "pin", None), getattr(rx, "pin", None)

        class I2c:
            def __init__(self, number, scl, sda):
                self.pins = board.number(scl), board.number(sda)

            def readfrom_mem(self, address, at, count):
                return bytes((CELSIUS, 0))[:count]

        def timer(number, period, callback):
            """Firmware of 1.25 to 1.27 for ESP32s has no timer -1, that for RP2s no other."""
            if (number == -1) != (board.chip.platform == "rp2"):
                raise ValueError("invalid Timer number" if board.chip.platform == "esp32" else "Timer doesn't exist")
            board.timers.append((number, period, callback))

        adc = EspAdc if board.chip.platform == "esp32" else RpAdc
        rtc = nvs_double.RtcDouble if board.chip.platform == "esp32" else object
        return types.SimpleNamespace(Pin=Pin, ADC=adc, UART=Uart, I2C=I2c, Timer=timer, RTC=rtc, deepsleep=self.slept.append)

    def _esp32(self):
        if self.chip.platform != "esp32":
            return None
        celsius = {"mcu_temperature": lambda: CELSIUS, "raw_temperature": lambda: round(CELSIUS * 1.8 + 32)}
        nvs = nvs_double.Chip().esp32.NVS
        return types.SimpleNamespace(NVS=nvs, **{self.chip.thermometer: celsius[self.chip.thermometer]})

    def _network(self):
        if not self.spec.network:
            return None
        station = types.SimpleNamespace(calls=[])
        station.isconnected = lambda: "connect" in station.calls
        station.active = lambda on: station.calls.append("active")
        station.config = lambda **options: None
        station.connect = lambda *arguments: station.calls.append("connect")
        return types.SimpleNamespace(WLAN=lambda number: station, STA_IF=0, station=station)

    def _espnow(self):
        return types.SimpleNamespace(
            ESPNow=lambda: types.SimpleNamespace(config=lambda **options: None, active=lambda on: None, add_peer=lambda mac: None)
        )


@pytest.fixture(name="place")
def board_in_place(monkeypatch, tmp_path):
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
