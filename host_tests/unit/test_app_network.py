# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app: Wi-Fi in the background, damaged files, and safe mode. Driver and time are doubles."""

import asyncio
import json
import sys
import types

import pytest

from dicectl.net.virtual import Loop
from host_tests.unit.test_app import app, machine  # noqa: F401 - a fixture


def in_virtual_time(main):
    loop = Loop()
    try:
        return loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


class Wlan:
    """A double of network.WLAN. It connects `seconds` after connect(), if the access point is there when that is called.

    With `reconnects` the driver does so by itself whenever the access point is there, as that of an ESP32. `stuck`: connect() does
    nothing until the interface has been deactivated. `errors`: what the next calls of connect() raise.
    """

    seconds = 3

    def __init__(self, reconnects=False):
        self.calls = []
        self.access_point = True
        self.reconnects = reconnects
        self.stuck = False
        self.errors = []
        self.address = "10.0.0.7"
        self._up_s = None  # when it will be, or was, connected

    def _now(self):
        return asyncio.get_running_loop().time()

    def isconnected(self):
        if self._up_s is None and self.reconnects and self.access_point and not self.stuck:
            self._up_s = self._now() + self.seconds
        return self._up_s is not None and self.access_point and self._now() >= self._up_s

    def lose(self):
        self.access_point = False
        self._up_s = None

    def active(self, on):
        self.calls.append(("active", on))
        self._up_s = None
        self.stuck = self.stuck and on

    def config(self, **options):
        self.calls.append(("config", options))

    def connect(self, *credentials):
        self.calls.append(("connect", *credentials))
        if self.errors:
            raise self.errors.pop()
        if self.access_point and not self.stuck:
            self._up_s = self._now() + self.seconds

    def ifconfig(self):
        return (self.address, "255.255.255.0", "10.0.0.1", "10.0.0.1")


@pytest.fixture
def wlan(monkeypatch, tmp_path):
    (tmp_path / "wifi.json").write_text('{"ssid": "house", "password": "secret word"}')
    station = Wlan()

    def interface(number):
        assert number == "station"
        return station

    monkeypatch.setitem(sys.modules, "network", types.SimpleNamespace(WLAN=interface, STA_IF="station"))
    return station


def test_wifi_is_begun_without_waiting_for_it(app, wlan):  # noqa: F811
    link = app("link")

    async def main():
        assert link.up({}) is None and not link.ready({})
        assert wlan.calls == [("active", True), ("config", {"pm": 0}), ("connect", "house", "secret word")]
        await asyncio.sleep(3)
        assert link.ready({}) and link.name_server({}) == "10.0.0.1"
        wlan.ifconfig = lambda: ("0.0.0.0",) * 4
        assert link.name_server({}) == ""

    in_virtual_time(main)


@pytest.mark.parametrize("reconnects", [False, True])
@pytest.mark.parametrize("away_s", [0, 1, 20, 3600])
@pytest.mark.parametrize("stuck", [False, True])
def test_wifi_is_connected_within_a_minute_of_its_access_point(app, wlan, reconnects, away_s, stuck):  # noqa: F811
    """At the start and after a loss. An interface that is stuck is activated anew."""
    link = app("link")
    wlan.reconnects = reconnects
    changes = []

    async def main():
        wlan.lose()
        link.up({})
        task = asyncio.ensure_future(link.keep({}, changed=lambda: changes.append(True)))
        for number in (1, 2):
            await asyncio.sleep(away_s)
            wlan.stuck = stuck
            wlan.access_point = True
            await asyncio.sleep(60)
            assert wlan.isconnected() and len(changes) == number and not task.done()
            wlan.lose()

    in_virtual_time(main)


def test_an_interface_that_is_connected_and_reaches_nobody_for_long_is_activated_anew(app, wlan):  # noqa: F811
    link = app("link")
    reached = [True]

    async def main():
        link.up({})
        task = asyncio.ensure_future(link.keep({}, lambda: reached[0]))
        await asyncio.sleep(3600)
        assert ("active", False) not in wlan.calls
        reached[0] = False
        await asyncio.sleep(1700)
        assert ("active", False) not in wlan.calls
        await asyncio.sleep(200)
        assert ("active", False) in wlan.calls and wlan.isconnected() and not task.done()

    in_virtual_time(main)


@pytest.mark.parametrize("damage", ["missing", "{", "[]", '{"ssid": "house"}', OSError("Wifi Internal Error")])
def test_wifi_json_or_a_driver_that_fails_costs_a_while(app, wlan, tmp_path, capsys, damage):  # noqa: F811
    link = app("link")
    good = (tmp_path / "wifi.json").read_text()
    if isinstance(damage, Exception):
        wlan.errors = [damage] * 3
    elif damage == "missing":
        (tmp_path / "wifi.json").unlink()
    else:
        (tmp_path / "wifi.json").write_text(damage)

    async def main():
        link.up({})
        task = asyncio.ensure_future(link.keep({}))
        await asyncio.sleep(100)
        (tmp_path / "wifi.json").write_text(good)
        await asyncio.sleep(60)
        assert wlan.isconnected() and not task.done()

    in_virtual_time(main)
    assert "trouble: Wi-Fi" in capsys.readouterr().out


def test_a_node_without_wifi_keeps_no_network(app):  # noqa: F811
    link = app("link")
    assert link.up({}) is None and link.ready({}) and link.name_server({}) is None
    asyncio.run(asyncio.wait_for(link.keep({}), 1))


GOOD = {"identity": "a", "key": "00" * 16, "groups": ["lamps"], "manager": {"host": "10.0.0.5", "port": 5684}}


@pytest.mark.parametrize("damaged", ["", "{", "[]", "null", "\x00\xff", '{"identity": "a"}', None])
def test_a_damaged_node_json_costs_the_manager_and_no_group(app, tmp_path, capsys, damaged):  # noqa: F811
    if damaged is not None:
        (tmp_path / "node.json").write_bytes(damaged.encode("latin1"))
    for name in ("lamps.gsa", "door.gsa", "door.gsa.tmp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "app.json").write_text('{"sensor": "simulated"}')
    node = app("main").node()
    assert set(node.groups) == {"lamps", "door"}
    assert "trouble: node.json" in capsys.readouterr().out
    with pytest.raises(OSError):
        asyncio.run(node._connect())


@pytest.mark.parametrize("damaged", ["{", "[1]", "\x00\xff"])
def test_a_damaged_app_json_costs_its_options(app, tmp_path, capsys, monkeypatch, damaged):  # noqa: F811
    (tmp_path / "node.json").write_text(json.dumps(GOOD))
    (tmp_path / "app.json").write_bytes(damaged.encode("latin1"))
    assert set(app("main").node().groups) == {"lamps"}
    assert "trouble: app.json" in capsys.readouterr().out


def start(app, monkeypatch, *outcomes):  # noqa: F811
    """Run main.start() with nodes that are doubles: each `outcome` is what one raises, or None. Return what was done, in order."""
    main, safe = app("main"), app("safe")
    monkeypatch.setattr(safe, "time", types.SimpleNamespace(sleep=lambda s: done.append(s)))
    done, left = [], list(outcomes)

    class Node:
        async def run(self):
            await self._do("run")

        async def take_part(self, seconds):
            await self._do(seconds)

        async def _do(self, what):
            done.append(what)
            error = left.pop(0)
            if error:
                raise error

        def close(self):
            done.append("close")

    monkeypatch.setattr(main, "node", lambda measure: done.append(measure) or Node())
    monkeypatch.setattr(main.asyncio, "run", lambda coroutine: in_virtual_time(lambda: coroutine))
    try:
        main.start()
    except ValueError:
        safe._write("f" * (safe._read().count("f") + 1))  # as failed()
    return done


def test_safe_mode_takes_part_in_the_groups_without_a_sensor_and_then_starts_the_node(app, monkeypatch, tmp_path, capsys):  # noqa: F811
    (tmp_path / "starts").write_text("fffff")
    assert start(app, monkeypatch, None, None) == [False, 600, "close", True, "run", "close"]
    assert "safe mode" in capsys.readouterr().out
    assert start(app, monkeypatch, None) == [True, "run", "close"], "a power cut after safe mode"


def test_safe_mode_that_fails_too_becomes_a_rest_and_ends_by_itself(app, monkeypatch, tmp_path):  # noqa: F811
    (tmp_path / "starts").write_text("sssss")  # as older versions wrote it
    assert start(app, monkeypatch, ValueError()) == [False, 600, "close"]
    assert start(app, monkeypatch, ValueError()) == [1] * 600 + [True, "run", "close"]
    assert start(app, monkeypatch, None, None) == [False, 600, "close", True, "run", "close"]
