# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The clock of asyncio endpoints, and how they wait for a socket or a deadline.

`now()` returns the time of the running event loop in ticks, milliseconds that wrap, as sans-IO objects such as Session take it. All
of `dice.aio` takes the time from here, so an event loop with a clock of its own needs no patch.

`wait(sock, deadline)` waits until `sock`, or an asyncio.Event in its place, is readable, or until the ticks `deadline` (None: for
as long as it takes).
"""

import asyncio

from .._compat import MICROPYTHON, ticks_diff
from .._typing import TYPING

if TYPING:
    from typing import Any

if MICROPYTHON:
    from asyncio import core  # type: ignore[attr-defined]
    from time import ticks_ms as now  # type: ignore[attr-defined] # the clock of MicroPython's event loop

    def _readable(sock: "Any") -> "Any":
        """Wait until `sock` has something to receive."""
        yield core._io_queue.queue_read(sock)

    async def wait(sock: "Any", deadline: "int | None") -> None:
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
    from ._cpython import now, wait  # noqa: F401 - for all of dice.aio
