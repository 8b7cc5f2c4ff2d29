# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A transport for `dice.join` made of lists; runs on CPython and MicroPython."""

import asyncio

from dice._compat import MICROPYTHON
from dice.aio import wait

if MICROPYTHON:
    import io

    class Signal(io.IOBase):
        """A pollable object that is readable when `set(True)` was called."""

        def __init__(self):
            self.ready = False

        def ioctl(self, request, argument):
            if request != 3:  # MP_STREAM_POLL
                return -22  # EINVAL: 0 would be the number of a file, and what is polled that of stdin
            return argument & 1 if self.ready else 0  # MP_STREAM_POLL_RD

        def set(self, ready):
            self.ready = ready

        def close(self):
            pass
else:
    import socket

    class Signal:
        """A pollable object that is readable when `set(True)` was called."""

        def __init__(self):
            self._near, self._far = socket.socketpair()
            self._ready = False

        def fileno(self):
            return self._near.fileno()

        def set(self, ready):
            if ready and not self._ready:
                self._far.send(b"!")
            elif self._ready and not ready:
                self._near.recv(1)
            self._ready = ready

        def close(self):
            self._near.close()
            self._far.close()


class Transport:
    """A transport in memory: a sent datagram is delivered to all `others`."""

    def __init__(self, *others):
        self.socket = Signal()
        self.others = others
        self.waiting = []
        self.error = None
        self.closed = False

    def feed(self, datagram):
        self.waiting.append(bytes(datagram))
        self.socket.set(True)

    def fail(self, error):
        self.error = error
        self.socket.set(True)

    def send(self, datagram):
        for other in self.others:
            other.feed(datagram)

    def receive(self):
        if self.error:
            raise self.error
        datagram = self.waiting.pop(0) if self.waiting else None
        self.socket.set(bool(self.waiting))
        return datagram

    def close(self):
        self.closed = True
        self.socket.close()


def run(main, *arguments):
    """Run a coroutine function until it returns, for at most 300 seconds."""

    async def limited():
        return await asyncio.wait_for(main(*arguments), 300)

    if MICROPYTHON:
        asyncio.new_event_loop()
    return asyncio.run(limited())


class Hasty:
    """The part of asyncio that dice.aio.wait uses, with 1 ms in place of its pause after an error, 0.1 s."""

    Event = asyncio.Event
    TimeoutError = asyncio.TimeoutError

    @staticmethod
    async def sleep(seconds):
        assert seconds in (0, 0.1), seconds
        await asyncio.sleep(seconds / 100)


def run_hasty(main):
    """Run as run() does; a transport that fails is given up after 50 ms instead of 5 s."""
    wait.asyncio = Hasty
    try:
        return run(main)
    finally:
        wait.asyncio = asyncio


async def until(condition):
    """Let the other tasks run until `condition()` is true."""
    while not condition():
        await asyncio.sleep(0)


async def expect(error_class, reason, awaitable):
    """Assert that awaiting raises exactly this error with this reason."""
    try:
        await awaitable
    except error_class as error:
        assert error.reason == reason, str(error)
        return
    raise AssertionError("did not raise E%d" % reason)
