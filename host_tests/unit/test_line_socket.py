# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The Unix sockets of the manager and of a resident member: requests, failures, streams, slow and vanished readers."""

import asyncio
import json
import os
import socket
import stat
import threading

import pytest

from dicectl import line_socket
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.line_socket import NobodyServes, Stream

WHO = "the clock"


@pytest.fixture
def serving(tmp_path, monkeypatch):
    """Return a function that runs a service in a thread and returns its path."""
    monkeypatch.setattr(line_socket, "_HUNG_UP_S", 0.02)
    loop = asyncio.new_event_loop()
    printed = []
    loop.set_exception_handler(lambda loop, context: printed.append(context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def serve(handle, path=tmp_path / "socket"):
        asyncio.run_coroutine_threadsafe(line_socket.serve(path, handle, WHO), loop).result()
        return path

    serve.loop = loop
    yield serve

    async def end():
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(end(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert not printed, "a traceback for the user"


def test_a_value_an_awaitable_and_a_failure_are_answers(serving):
    async def later(request):
        return request["what"]

    def handle(request):
        if request["do"] == "fail":
            raise CommandError("not now", USAGE)
        if request["do"] == "break":
            raise ValueError("odd")
        return later(request) if request["do"] == "later" else [request["do"]]

    path = serving(handle)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert line_socket.call(path, {"do": "a"}, WHO) == ["a"]
    assert line_socket.call(path, {"do": "later", "what": 5}, WHO) == 5
    for request, message, status in (("fail", "not now", USAGE), ("break", "the clock failed: ValueError: odd", FAILED)):
        with pytest.raises(CommandError, match=message) as caught:
            line_socket.call(path, {"do": request}, WHO)
        assert caught.value.exit_code == status


@pytest.mark.parametrize("sent", [b"", b"\n", b"nonsense\n", b"[" * 100_000 + b"\n", b"x" * (2 << 20), b"5"], ids=len)
def test_an_odd_client_costs_nothing(serving, sent):
    path = serving(lambda request: request["do"])
    with socket.socket(socket.AF_UNIX) as odd:
        odd.connect(str(path))
        try:
            odd.sendall(sent)
            odd.shutdown(socket.SHUT_WR)
            odd.recv(1000)
        except OSError:
            pass  # it has hung up already
    assert line_socket.call(path, {"do": "a"}, WHO) == "a"


def test_a_path_of_any_length_is_served_and_a_killed_service_replaced(serving, tmp_path):
    deep = tmp_path / ("a" * 90) / ("b" * 90)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as killed:
        folder = os.open(deep, os.O_RDONLY)
        killed.bind(f"/proc/self/fd/{folder}/socket")
        os.close(folder)
    with pytest.raises(NobodyServes):
        line_socket.call(deep / "socket", {}, WHO)
    assert line_socket.call(serving(lambda request: 1, deep / "socket"), {}, WHO) == 1


@pytest.mark.parametrize("missing", ["missing", "missing/socket", "file/socket"])
def test_nobody_serves(tmp_path, missing):
    (tmp_path / "file").touch()
    with pytest.raises(NobodyServes):
        line_socket.call(tmp_path / missing, {}, WHO)


def test_a_service_that_says_nothing_is_named(tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        with pytest.raises(CommandError, match="the clock does not answer: timed out"):
            line_socket.call(tmp_path / "socket", {}, WHO, 0.1)


def test_streams_reach_several_readers_and_end_with_them(serving):
    streams, ended = [], threading.Event()

    def handle(request):
        streams.append(Stream(request["do"], ended=ended.set))
        return streams[-1]

    path = serving(handle)
    one, two = (line_socket.lines(path, {"do": name}, WHO) for name in "ab")
    assert (next(one), next(two)) == ("a", "b")
    for stream in streams:
        serving.loop.call_soon_threadsafe(stream.put, 1)
    assert (next(one), next(two)) == (1, 1)
    one.close()
    assert ended.wait(60), "a reader that is gone was not noticed without a value"
    serving.loop.call_soon_threadsafe(streams[1].put, 2)
    assert next(two) == 2
    two.close()


def test_a_service_that_ends_ends_its_streams_quietly(serving):
    """The fixture ends it, and looks at what is printed."""
    said = line_socket.lines(serving(lambda request: Stream("a")), {}, WHO)
    assert next(said) == "a"


def test_a_reader_that_has_shut_down_its_sending_side_is_still_there(serving):
    """As `nc -N -U` does."""
    streams = []
    path = serving(lambda request: streams.append(Stream("a")) or streams[0])
    with socket.socket(socket.AF_UNIX) as reader, reader.makefile() as file:
        reader.connect(str(path))
        reader.sendall(b"{}\n")
        reader.shutdown(socket.SHUT_WR)
        assert json.loads(file.readline()) == {"ok": "a"}
        threading.Event().wait(0.1)  # it looks several times
        serving.loop.call_soon_threadsafe(streams[0].put, 1)
        assert json.loads(file.readline()) == {"ok": 1}


def test_a_slow_reader_loses_values_and_learns_how_many():
    async def main():
        stream = Stream("a", values_max=3)
        for value in range(10):
            stream.put(value)
        said = [await stream.get() for _ in range(3)]
        stream.put(10)
        return [*said, await stream.get(), await stream.get()]

    assert asyncio.run(main()) == ["a", 0, 1, {"lost": 8}, 10]
