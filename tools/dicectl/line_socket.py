# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A Unix socket at which the owner's programs ask a service: one JSON line as the request, JSON lines as the answer.

{"do": "show", ...} is answered with {"ok": value}, or with {"failure": sentence, "status": exit status}. A request that is answered
with a Stream gets a line for each value, until one side closes the connection. The socket is created 0600.
"""

import inspect
import json
import os
import select
import socket
from collections import deque
from contextlib import contextmanager
from pathlib import Path

from dicectl import system
from dicectl.errors import FAILED, USAGE, CommandError

_LINE_MAX_BYTES = 1 << 20
_ADDRESS_MAX_BYTES = 100
_REQUEST_S = 60  # for which a client may take to send its request
_HUNG_UP_S = 1  # how often a service looks whether the reader of a stream is still there


class NobodyServes(Exception):
    """No service is at this socket: it does not run, or it was killed."""


class NoAnswer(CommandError):
    """The service has not answered: what it was asked for may be done, or not."""


class Stream:
    """Values for one reader. Of those that it is too slow for, the newest are discarded, and a value says how many."""

    def __init__(self, first, values_max=256, ended=lambda: None):
        """`first` is the first value; `ended()` is called when the reader is gone."""
        import asyncio  # slow to import, and not needed by clients

        self.ended = ended
        self.is_served = False  # to a client
        self._values = deque([first])
        self._values_max = values_max
        self._lost = 0
        self._arrived = asyncio.Event()

    def put(self, value):
        """Add a value."""
        if len(self._values) >= self._values_max:
            self._lost += 1
            return
        if self._lost:
            self._values.append({"lost": self._lost})
            self._lost = 0
        self._values.append(value)
        self._arrived.set()

    def waits(self):
        """Return whether a client has not got all values yet."""
        return self.is_served and bool(self._values)

    async def get(self):
        """Return the next value, or None if there is none soon."""
        import asyncio

        from dice.aio.wait import wait_for

        if not self._values:
            self._arrived.clear()
            try:
                await wait_for(self._arrived.wait(), _HUNG_UP_S)
            except asyncio.TimeoutError:
                return None
        return self._values.popleft()


@contextmanager
def _address(path):
    """Yield the address of the socket `path`.

    An address may have 107 bytes on Linux and 103 on macOS. A longer one goes by way of /proc, as long as the folder is open.
    """
    path = Path(path).absolute()
    if len(os.fsencode(path)) < _ADDRESS_MAX_BYTES:
        yield str(path)
        return
    if not hasattr(os, "O_PATH"):
        raise CommandError(f"the path {path} is too long for a socket: move its folder to a shorter path", USAGE)
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise NobodyServes
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


async def serve(path, handle, who):
    """Return an asyncio server at the socket `path`, which replaces that of a service that was killed: the caller holds a lock.

    Each request is answered with what `handle(request)` returns: a value, an awaitable, or a Stream. It may raise CommandError.
    `who` is the service, such as "the manager".
    """
    import asyncio

    from dice.aio.wait import wait_for

    async def answer(request):
        try:
            found = handle(request)
            return {"ok": await found if inspect.isawaitable(found) else found}
        except CommandError as failure:
            return {"failure": failure.format_message(), "status": failure.exit_code}
        except Exception as error:  # this request alone has failed
            return {"failure": f"{who} failed: {type(error).__name__}: {error}", "status": FAILED}

    async def respond(reader, writer):
        try:
            answered = await answer(json.loads(await wait_for(reader.readline(), _REQUEST_S)))
            if isinstance(answered.get("ok"), Stream):
                await _stream(answered["ok"], writer)
                return
            writer.write(json.dumps(answered).encode() + b"\n")
            await writer.drain()
        except (ValueError, RecursionError, OSError, asyncio.TimeoutError):
            pass  # the client is not dicectl, or closed the connection
        except asyncio.CancelledError:
            pass  # the event loop ends; CPython before 3.12 would print a traceback
        finally:
            writer.close()

    system.require_unix(who)
    with _address(path) as address:
        Path(address).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(respond, address, limit=_LINE_MAX_BYTES)
        finally:
            os.umask(mask)


async def _stream(stream, writer):
    """Send the values of a stream until its reader is gone."""
    reader = select.poll()
    stream.is_served = True
    reader.register(writer.get_extra_info("socket").fileno(), 0)  # POLLHUP is always reported: both directions are closed
    try:
        while True:
            value = await stream.get()
            if value is not None:
                writer.write(json.dumps({"ok": value}).encode() + b"\n")
                await writer.drain()
            elif reader.poll(0):
                return
    finally:
        stream.ended()


@contextmanager
def connected(path, wait_s):
    """Yield a connection to the service at the socket `path`; raises NobodyServes and OSError."""
    if system.WINDOWS:
        raise NobodyServes
    with _address(path) as address, socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(wait_s)
        try:
            channel.connect(address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise NobodyServes
        yield channel


def lines(path, request, who, wait_s=60):
    """Send a request to the service at the socket `path` and yield the values of its answer: one, or those of a stream.

    Raises NobodyServes, CommandError, and NoAnswer if there is none within `wait_s` (None: for as long as it takes).
    """
    try:
        with connected(path, wait_s) as channel, channel.makefile() as file:
            channel.sendall(json.dumps(request).encode() + b"\n")
            for line in file:
                answer = json.loads(line)
                if "failure" in answer:
                    raise CommandError(answer["failure"], answer.get("status", USAGE))
                yield answer["ok"]
    except (OSError, ValueError, RecursionError) as error:
        raise NoAnswer(f"{who} does not answer: {error}", FAILED)


def call(path, request, who, wait_s=60):
    """Send a request and return the one value of its answer; raises as lines() does."""
    for value in lines(path, request, who, wait_s):
        return value
    raise NoAnswer(f"{who} does not answer: it closed the connection", FAILED)
