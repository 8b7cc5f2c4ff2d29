# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The clock of asyncio endpoints, and how they wait for a socket or a deadline.

`now()` returns the time of the running event loop in ticks, milliseconds that wrap, as sans-IO objects such as Session take it. All
of `dice.aio` takes the time from here, so an event loop with a clock of its own needs no patch.

`wait(sock, deadline)` waits until `sock`, or an asyncio.Event in its place, is readable, or until the ticks `deadline` (None: for
as long as it takes). `wait_for` is that of asyncio; before CPython 3.12 asyncio's own may lose a cancellation. `repeat(owner,
step)` is the loop of every task that reads a transport.
"""

import asyncio

from .._compat import MICROPYTHON, const, ticks_diff
from .._typing import TYPING

if TYPING:
    from collections.abc import Awaitable, Callable
    from typing import Any

_PAUSE_S = 0.1  # after a step that failed: the next may find memory, or the interface
_FAILED_MAX = const(50)  # steps in a row, 5 s

if MICROPYTHON:
    from asyncio import core, wait_for  # type: ignore[attr-defined]
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
                await wait_for(arrival, max(0, ticks_diff(deadline, now())) / 1000)
            except asyncio.TimeoutError:
                pass
else:
    from ._cpython import now, wait, wait_for  # type: ignore[assignment] # noqa: F401 - for all of dice.aio


async def repeat(owner: "Any", step: "Callable[[], Awaitable[object]]") -> None:
    """Await `step()` until it returns something true.

    An exception costs one step: it is counted in `owner.overrun` and kept in `owner.error`. Raises an OSError only if so many steps
    in a row have ended with one that the transport must be gone for good; nothing that is received can cause that.
    """
    failed = 0
    while True:
        try:
            if await step():
                return
            failed = 0
        except Exception as error:
            owner.overrun += 1
            owner.error = error
            failed += isinstance(error, OSError)
            if failed == _FAILED_MAX:
                raise
            await asyncio.sleep(_PAUSE_S)
        await asyncio.sleep(0)  # a flood must not starve the other tasks
