# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tasks and threads of the tools survive what one datagram or one moment does, or end their program audibly (invariant 6)."""

import asyncio
import importlib
import socket
import sys
import types

import pytest

from dice.transport.slip_ip import packet
from dicectl import resources
from dicectl.cli import dtls, emulate
from dicectl.emulator import runner
from dicectl.emulator.bus import Bus
from dicectl.errors import CommandError
from dicectl.net import slip_gateway, virtual, watched

NODE = b"\x0a\x4d\0\1\0\7"
ONCE = [OSError(5, "I/O error"), MemoryError(), ValueError("x")]


class Line:
    """A serial line that can be selected; `errors` are what the next reads raise, `last` what all later ones do."""

    def __init__(self):
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.errors = []
        self.last = None

    def fileno(self):
        return self.near.fileno()

    def read(self, count):
        if self.errors:
            raise self.errors.pop(0)
        if self.last:
            raise self.last
        try:
            return self.near.recv(count)
        except BlockingIOError:
            return b""

    def write(self, data):
        return self.near.send(data)

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


@pytest.fixture
def peer():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(60)
        yield peer


def say(line, peer, data):
    target = socket.inet_aton("127.0.0.1") + peer.getsockname()[1].to_bytes(2, "big")
    line.far.send(b"\xc0" + bytes(packet(NODE, target, data)) + b"\xc0")


@pytest.mark.parametrize("error", ONCE, ids=repr)
def test_a_gateway_survives_a_line_that_fails_once(line, peer, error):
    with slip_gateway.at_work(slip_gateway.Gateway(line, interface="127.0.0.1")) as gateway:
        line.errors.append(error)
        say(line, peer, b"on")
        assert peer.recv(100) == b"on"
        assert gateway.error is error and gateway.counts["dropped"] == 1


def test_a_gateway_whose_line_is_gone_ends_audibly(line, peer):
    line.last = OSError(5, "I/O error")
    line.far.send(b"x")
    gateway = slip_gateway.Gateway(line)
    with pytest.raises(OSError, match="I/O error"):
        while True:
            gateway.step()
    gateway.close()


def test_the_end_of_a_gateway_in_a_thread_is_raised():
    def step(wait_s):
        raise KeyError("x")

    closed = []
    gateway = types.SimpleNamespace(step=step, close=lambda: closed.append(1))
    with pytest.raises(KeyError), slip_gateway.at_work(gateway):
        pass
    assert closed


def test_a_standard_input_that_fails_ends_the_session(monkeypatch, capsys):
    def broken(descriptor, count):
        raise OSError(5, "I/O error")

    monkeypatch.setattr(watched, "_LAST_ANSWER_S", 0)
    monkeypatch.setattr(watched, "os", types.SimpleNamespace(read=broken))
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(fileno=lambda: 0))
    closed = []

    async def main():
        await asyncio.wait_for(watched._send_lines(types.SimpleNamespace(close=lambda: closed.append(1))), 60)

    asyncio.run(main())
    assert closed and "I/O error" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["closed here", "closed there"])
def test_a_bus_survives_a_board_that_ends(end):
    pairs = [socket.socketpair() for _ in range(3)]
    with Bus() as bus:
        for number, (near, _) in enumerate(pairs):
            bus.join(number, near)
        pairs[0][end == "closed there"].close()
        pairs[1][1].send(b"hello")
        pairs[2][1].settimeout(60)
        assert pairs[2][1].recv(100) == b"hello"
    for pair in pairs:
        for end in pair:
            end.close()


def test_an_exception_in_the_thread_of_a_board_is_printed_and_fails():
    said, failed = [], []

    def run(*arguments, **options):
        raise ValueError("odd")

    printer = types.SimpleNamespace(end=lambda number, board, error: said.append(error))
    emulate._run(types.SimpleNamespace(run=run), 1, "script", 1, printer, failed)
    assert said == ["ValueError: odd"] and failed == [1]


def test_a_line_that_cannot_be_sent_ends_the_command_audibly(monkeypatch):
    class Connection:
        def __init__(self):
            self.closed = asyncio.Event()

        async def send(self, line):
            raise OSError(101, "unreachable")

        def close(self):
            self.closed.set()

        def __aiter__(self):
            return self

        async def __anext__(self):
            await self.closed.wait()
            raise StopAsyncIteration

    def lines():
        queue = asyncio.Queue()
        queue.put_nowait(b"on")
        return queue

    monkeypatch.setattr(watched, "_stdin_lines", lines)

    async def main():
        await asyncio.wait_for(watched.pipe(Connection()), 60)

    with pytest.raises(OSError, match="unreachable"):
        asyncio.run(main())


class ExampleGroup:
    """A group of an example: its iteration gives `events`, and raises those that are exceptions."""

    def __init__(self, events):
        self.events = events
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        await asyncio.sleep(1)
        if not self.events:
            await asyncio.sleep(3600)
        event = self.events.pop(0)
        if isinstance(event, Exception):
            raise event
        return 1, event

    async def send(self, message):
        raise OSError(101, "unreachable")

    def close(self):
        self.closed = True


@pytest.mark.parametrize("name", ["bus", "radio"])
def test_an_example_with_two_tasks_begins_again(monkeypatch, name, capsys):
    """Its group fails, it cannot send at a press, and its lamp fails: that is an error in the program, and ends it audibly."""
    lit, levels = [], []

    class Pin:
        IN, OUT, PULL_UP = "in", "out", "pulled up"

        def __init__(self, pin, mode, pull=None):
            self.is_button = mode == "in"

        def value(self, *light):
            if light and light[0] == "burn":
                raise ValueError("burnt out")
            lit.extend(light)
            levels.append(self.is_button)
            return len(levels) // 7 % 2

        def toggle(self):
            pass

    monkeypatch.syspath_prepend(str(resources.EXAMPLES))
    monkeypatch.setitem(sys.modules, "machine", types.SimpleNamespace(Pin=Pin))
    module = importlib.import_module(name)
    groups = []

    async def join(path, transport):
        groups.append(ExampleGroup([[b"on", OSError(19, "gone")], None, [b"off", ValueError("burnt out")]][len(groups)]))
        if len(groups) == 2:
            raise OSError(19, "no device")
        return groups[-1]

    monkeypatch.setattr(module.dice, "join", join)
    monkeypatch.setattr(module, "line" if name == "bus" else "air", lambda: None)
    loop = virtual.Loop()
    try:
        with pytest.raises(ValueError, match="burnt out"):
            loop.run_until_complete(module.main())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    shown = capsys.readouterr().out
    assert "gone" in shown and "no device" in shown and "unreachable" in shown
    assert len(groups) == 3 and groups[0].closed and True in lit and False in lit


def test_an_exception_of_a_virtual_node_is_raised_at_the_end(tmp_path, monkeypatch):
    async def main():
        node = virtual.VirtualNode(network, tmp_path, "lamp", "lamps", b"a", b"k")
        node.power_on()
        await asyncio.sleep(1)

    async def broken(*arguments, **options):
        raise KeyError("mend me")

    network = virtual.VirtualNetwork(lambda sides: 0)
    monkeypatch.setattr(virtual.dice, "connect", broken)
    with pytest.raises(KeyError, match="mend me"):
        network.run(main)


def test_an_exception_of_a_script_on_a_board_is_raised(monkeypatch):
    class Board:
        def __init__(self, *arguments, **options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def run(self, text, seconds, echo):
            echo('{"n": 1}\n')
            raise ValueError("odd")

    monkeypatch.setattr(runner, "EmulatedBoard", Board)
    monkeypatch.setattr(runner.mpy, "compile_here", lambda *arguments: b"")
    with pytest.raises(ValueError, match="odd"):
        list(runner.lines("firmware", "bench.py"))


def test_a_dtls_server_whose_network_fails_ends_audibly():
    async def wait_closed():
        raise OSError(19, "No such device")

    async def main():
        await asyncio.wait_for(dtls._serve_until(asyncio.Event(), types.SimpleNamespace(wait_closed=wait_closed)), 60)

    with pytest.raises(CommandError, match="No such device"):
        asyncio.run(main())
