# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""firmware/app: names in the background, and the addresses that it keeps for a time without a name server, which is a double."""

import asyncio
import contextlib
import json
import sys
import threading
import types

import pytest

from dice.store import replace_file
from host_tests.unit.test_app import app, machine  # noqa: F401 - a fixture
from host_tests.unit.test_app_network import in_virtual_time

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


def test_a_name_with_addresses_in_turn_is_stored_once(names, monkeypatch):
    """While its manager is away, a node looks the name up at least every 30 s, and each change was a write to flash."""
    other = ADDRESS[:-1] + b"\6"
    module, server = names([ADDRESS, other])
    look_up = lambda: module.look_up("manager.house", "10.0.0.1")  # noqa: E731
    written = []
    monkeypatch.setattr(module, "replace_file", lambda path, data: (written.append(data), replace_file(path, data)))
    for server.records in 3 * ([ADDRESS, other], [other, ADDRESS]):
        assert in_virtual_time(look_up) == ("10.0.0.5" if server.records[0] == ADDRESS else "10.0.0.6"), "each has its turn"
    assert len(written) == 1
    server.there = False
    assert in_virtual_time(look_up) == "10.0.0.5"
    server.there, server.records = True, [other]
    in_virtual_time(look_up)
    assert len(written) == 2, "the one that was kept is gone"


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
