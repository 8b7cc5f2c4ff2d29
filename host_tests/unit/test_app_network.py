# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app: Wi-Fi and names in the background, damaged files, and safe mode. Driver, name server and time are doubles."""

import asyncio
import contextlib
import json
import sys
import threading
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


HEAD = b"\x81\x80\0\1\0%c\0\0\0\0"
NAME = b"\7manager\5house\0"
POINTER = b"\xc0\x0c"
ALIAS = POINTER + b"\0\5\0\1\0\0\0\7\0\4\1x\xc0\x14"
ADDRESS6 = POINTER + b"\0\x1c\0\1" + bytes(5) + b"\x10" + bytes(16)
ADDRESS = POINTER + b"\0\1\0\1\0\0\0\7\0\4\x0a\0\0\5"


class NameServer:
    """A double of the module `socket`: a name server that answers while it is `there`."""

    AF_INET = SOCK_DGRAM = 2

    def __init__(self, records, there=True):
        self.records = records
        self.there = there
        self.asked = []
        self._waiting = []

    def socket(self, *_):
        return self

    def setblocking(self, _):
        pass

    def sendto(self, query, to):
        self.asked.append(to)
        if self.there:
            forged = bytes((query[0] ^ 1,)) + query[1:2]
            for number in (forged, query[:2]):
                self._waiting.append(number + HEAD % len(self.records) + query[12:] + b"".join(self.records))

    def recv(self, _):
        if not self._waiting:
            raise OSError(11)
        return self._waiting.pop(0)

    def close(self):
        pass

    def getaddrinfo(self, *_):
        raise AssertionError("would block")


@pytest.fixture
def names(app, monkeypatch):  # noqa: F811
    module = app("names")

    def of(records, there=True):
        server = NameServer(records, there)
        monkeypatch.setattr(module, "socket", server)
        return module, server

    return of


@pytest.mark.parametrize("records", [[ADDRESS], [ALIAS, ADDRESS], [ADDRESS6, ADDRESS]])
def test_a_board_asks_its_name_server(names, records):
    module, server = names(records)
    assert in_virtual_time(lambda: module.look_up("manager.house", "10.0.0.1")) == "10.0.0.5"
    assert server.asked == [("10.0.0.1", 53)]


def test_a_name_in_local_is_asked_for_by_multicast(names):
    module, server = names([ADDRESS])
    assert in_virtual_time(lambda: module.look_up("manager.local", "10.0.0.1")) == "10.0.0.5"
    assert server.asked == [("224.0.0.251", 5353)]


def test_a_board_on_a_bus_needs_no_sockets(app, monkeypatch):  # noqa: F811
    """As firmware for a board without Wi-Fi, which has no module `socket`."""
    monkeypatch.setitem(sys.modules, "names", None)
    app("main")
    assert asyncio.run(app("link").look_up({"serial": {}}, "10.77.0.1")) == "10.77.0.1"


def test_an_address_is_not_looked_up(names):
    module, server = names([])
    assert in_virtual_time(lambda: module.look_up("10.0.0.5", "10.0.0.1")) == "10.0.0.5"
    assert in_virtual_time(lambda: module.look_up("fd00::5", "10.0.0.1")) == "fd00::5"
    assert server.asked == []


@pytest.mark.parametrize("records", [[], [ADDRESS[:9]], [b"\x3f"]], ids=["no address", "cut off", "label without end"])
def test_a_name_without_an_address_is_left_to_the_system_while_the_name_server_answers(names, records):
    module, server = names(records)
    server.records = records or []
    assert in_virtual_time(lambda: module.look_up("manager.house", "10.0.0.1")) == "manager.house"


def test_without_a_name_server_the_last_address_is_used_also_after_a_reboot(names, app, tmp_path):  # noqa: F811
    module, server = names([ADDRESS])
    look_up = lambda: module.look_up("manager.house", "10.0.0.1")  # noqa: E731
    server.there = False
    with pytest.raises(OSError):
        in_virtual_time(look_up)
    server.there = True
    in_virtual_time(look_up)
    server.there = False
    assert in_virtual_time(look_up) == "10.0.0.5"
    server.there, server.records = True, [ADDRESS[:-1] + b"\6"]
    assert in_virtual_time(look_up) == "10.0.0.6", "it has moved"
    assert json.loads((tmp_path / "addresses").read_text()) == {"manager.house": "10.0.0.6"}
    (tmp_path / "addresses").write_text("{")
    server.there = False
    with pytest.raises(OSError):
        in_virtual_time(look_up)


def test_a_name_server_that_does_not_answer_is_asked_once_for_each_further_name(names):
    """A node with eight managers looked for each of them for 6 s."""
    module, server = names([ADDRESS])

    async def main():
        for server.there, host in ((0, "a.house"), (0, "b.house"), (1, "a.house"), (0, "b.house")):
            with contextlib.suppress(OSError):
                await module.look_up(host, "10.0.0.1")

    in_virtual_time(main)
    assert len(server.asked) == 3 + 1 + 1 + 3


def test_a_look_up_of_the_system_stops_nothing(app, monkeypatch):  # noqa: F811
    """It hangs, as without a name server; a second thread is not started, and what it says at last counts."""
    module = app("names")
    go_on, started = threading.Event(), []

    def getaddrinfo(host, port):
        started.append(host)
        go_on.wait(10)
        return [1]

    monkeypatch.setattr(module, "socket", types.SimpleNamespace(getaddrinfo=getaddrinfo))
    monkeypatch.setattr(module, "_SYSTEM_S", 0.2)

    async def main():
        for _ in range(2):
            with pytest.raises(OSError):
                await module.look_up("manager.house")
        go_on.set()
        assert await module.look_up("manager.house") == "manager.house"
        assert started == ["manager.house"]

    asyncio.run(main())


def test_a_name_that_the_system_does_not_know_is_an_error(app, monkeypatch):  # noqa: F811
    module = app("names")

    def unknown(*_):
        raise OSError(-2)

    monkeypatch.setattr(module, "socket", types.SimpleNamespace(getaddrinfo=unknown))
    with pytest.raises(OSError):
        asyncio.run(module.look_up("manager.house"))


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
