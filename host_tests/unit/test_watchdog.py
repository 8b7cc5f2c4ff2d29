# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The watchdog of firmware/app on every port; machine.WDT is a double, made from MicroPython's ports/*/machine_wdt.c."""

import asyncio
import types

import pytest

from host_tests.unit.test_app import app, machine

__all__ = ["app"]  # the fixture


class Watchdog:
    """A double of machine.WDT of a port: it takes timeouts up to `longest_ms`, or `only_ms`, and starts `times` times."""

    def __init__(self, longest_ms=1 << 31, only_ms=None, times=99):
        self.longest_ms, self.only_ms, self.times = longest_ms, only_ms, times
        self.timeout = None
        self.fed = 0

    def __call__(self, timeout=5000):
        if timeout > self.longest_ms or (self.only_ms and timeout != self.only_ms):
            raise ValueError("timeout")
        if self.times == 0:
            raise OSError(1)
        self.times -= 1
        self.timeout = timeout
        return self

    def feed(self):
        self.fed += 1


PORTS = {  # sys.platform: the watchdog, its timeout while it runs, and after it was stopped as far as it can be
    "esp32": (Watchdog(), 8000, 3_600_000),
    "esp8266": (Watchdog(only_ms=5000), 5000, 5000),
    "mimxrt": (Watchdog(), 8000, 3_600_000),
    "nrf52": (Watchdog(times=1), 8000, 8000),
    "pyboard": (Watchdog(32_768), 8000, 32_000),
    "samd": (Watchdog(16_000), 8000, 16_000),
    "cc3200": (Watchdog(times=1), 8000, 8000),
    "short": (Watchdog(6000), 5000, 5000),
    "broken": (Watchdog(times=0), None, None),
}


@pytest.mark.parametrize("platform", PORTS)
def test_each_port_has_the_watchdog_that_it_allows(app, monkeypatch, platform, capsys):
    """None that is refused ends the node."""
    from dicectl.net.virtual import Loop

    safe = app("safe")
    watchdog, running_ms, stopped_ms = PORTS[platform]
    machine(monkeypatch, WDT=watchdog)
    monkeypatch.setattr(safe, "sys", types.SimpleNamespace(platform=platform))
    loop = Loop()
    try:
        loop.run_until_complete(safe.stay_up(asyncio.sleep(30)))
    finally:
        loop.close()
    assert watchdog.timeout == running_ms and (watchdog.fed >= 14 if running_ms else not watchdog.fed)
    assert ("trouble: watchdog" in capsys.readouterr().out) == (running_ms is None)
    safe.unwatch()
    assert watchdog.timeout == stopped_ms


@pytest.mark.parametrize(
    "platform, watched", [("esp32", True), ("rp2", True), ("esp8266", True), ("pyboard", False), ("samd", False)]
)
def test_a_watchdog_that_would_end_deep_sleep_is_not_started_by_a_node_that_sleeps(app, monkeypatch, platform, watched):
    safe, watchdog = app("safe"), Watchdog()
    machine(monkeypatch, WDT=watchdog)
    monkeypatch.setattr(safe, "sys", types.SimpleNamespace(platform=platform))
    asyncio.run(safe.stay_up(asyncio.sleep(0), sleeps=True))
    assert (watchdog.timeout is not None) == watched


def test_a_board_without_a_watchdog_works(app, monkeypatch):
    safe = app("safe")
    machine(monkeypatch)
    asyncio.run(safe.stay_up(asyncio.sleep(0)))
    safe.unwatch()
