# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How an asyncio endpoint waits for its socket and its deadline, on MicroPython and on CPython (row 6)."""

import asyncio

from .._compat import MICROPYTHON, ticks_diff, ticks_ms

if MICROPYTHON:
    from asyncio import core

    def _readable(sock):
        """Wait until `sock` has something to receive."""
        yield core._io_queue.queue_read(sock)

    async def wait(sock, deadline):
        """Wait until `sock`, or an asyncio.Event in its place, has something, or until the ticks `deadline`, which may be None."""
        arrival = sock.wait() if isinstance(sock, asyncio.Event) else _readable(sock)
        if deadline is None:
            await arrival
        else:
            try:
                await asyncio.wait_for(arrival, max(0, ticks_diff(deadline, ticks_ms())) / 1000)
            except asyncio.TimeoutError:
                pass
else:

    async def wait(sock, deadline):
        """Wait until `sock`, or an asyncio.Event in its place, has something, or until the ticks `deadline`, which may be None.

        Without asyncio.wait_for: its task would outlive a cancelled one and let go of a later socket with the same number, and
        before CPython 3.12 it can swallow a cancellation.
        """
        loop = asyncio.get_running_loop()
        left_s = None if deadline is None else max(0, ticks_diff(deadline, ticks_ms())) / 1000
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
