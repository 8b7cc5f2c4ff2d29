# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The clock of asyncio endpoints, and how they wait for a socket or a deadline; on MicroPython and on CPython.

All of `dice.aio` takes the time from now(), which is the event loop's own clock, so a loop with another clock needs no patch.
"""

import asyncio

from .._compat import MICROPYTHON, ticks_add, ticks_diff

if MICROPYTHON:
    from asyncio import core
    from time import ticks_ms as now  # the clock of MicroPython's event loop

    def _readable(sock):
        """Wait until `sock` has something to receive."""
        yield core._io_queue.queue_read(sock)

    async def wait(sock, deadline):
        """Wait until `sock`, or an asyncio.Event in its place, is readable, or until the ticks `deadline`, which may be None."""
        arrival = sock.wait() if isinstance(sock, asyncio.Event) else _readable(sock)
        if deadline is None:
            await arrival
        else:
            try:
                await asyncio.wait_for(arrival, max(0, ticks_diff(deadline, now())) / 1000)
            except asyncio.TimeoutError:
                pass
else:

    def now():
        """Return the time of the running event loop in ticks: milliseconds that wrap, for sans-IO objects such as Session."""
        return ticks_add(int(asyncio.get_running_loop().time() * 1000), 0)

    async def wait(sock, deadline):
        """Wait until `sock`, or an asyncio.Event in its place, is readable, or until the ticks `deadline`, which may be None.

        asyncio.wait_for is not used: its task would outlive a cancelled one and unregister a later socket with the same number,
        and before CPython 3.12 it can swallow a cancellation.
        """
        loop = asyncio.get_running_loop()
        left_s = None if deadline is None else max(0, ticks_diff(deadline, now())) / 1000
        if isinstance(sock, asyncio.Event):
            timer = None if left_s is None else loop.call_later(left_s, sock.set)
            try:
                await sock.wait()
            finally:
                if timer:
                    timer.cancel()
            return
        ready = loop.create_future()

        def wake():
            if not ready.done():
                ready.set_result(None)

        loop.add_reader(sock, wake)
        timer = None if left_s is None else loop.call_later(left_s, wake)
        try:
            await ready
        finally:
            loop.remove_reader(sock)
            if timer:
                timer.cancel()
