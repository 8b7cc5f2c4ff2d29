# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How an asyncio endpoint waits for its socket and its deadline, on MicroPython and on CPython (row 6)."""

import asyncio

from dice._compat import MICROPYTHON, ticks_diff, ticks_ms

if MICROPYTHON:
    from asyncio import core

    def _readable(sock):
        """Wait until `sock` has something to receive."""
        yield core._io_queue.queue_read(sock)
else:

    async def _readable(sock):
        """Wait until `sock` has something to receive."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(sock, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            loop.remove_reader(sock)


async def wait(sock, deadline):
    """Wait until `sock` has something to receive, or until the ticks `deadline`, which may be None."""
    readable = _readable(sock)
    if deadline is None:
        await readable
    else:
        try:
            await asyncio.wait_for(readable, max(0, ticks_diff(deadline, ticks_ms())) / 1000)
        except asyncio.TimeoutError:
            pass
