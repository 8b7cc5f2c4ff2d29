# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""aio.wait for CPython; never installed on a board."""

import asyncio

from .._compat import ticks_diff
from .._cpython import PERIOD
from .._typing import TYPING

if TYPING:
    from collections.abc import Awaitable
    from typing import Any

_POLL_S = 0.01


def now() -> int:
    """Return the time of the running event loop in ticks: milliseconds that wrap, for sans-IO objects such as Session."""
    return int(asyncio.get_running_loop().time() * 1000) % PERIOD


async def wait_for(awaitable: "Awaitable[Any]", timeout_s: "float | None") -> "Any":
    """Return what `awaitable` does; raises asyncio.TimeoutError after `timeout_s` seconds (None: never), as asyncio.wait_for().

    That of CPython before 3.12 goes on as if nothing had happened when it is cancelled in the moment in which it ends.
    """
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait((task,), timeout=timeout_s)
    except asyncio.CancelledError:
        await _end(task)
        raise
    await _end(task)
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


async def _end(task: "asyncio.Future[Any]") -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # asked for, also if nobody does


async def wait(sock: "Any", deadline: "int | None") -> None:
    """Wait until `sock`, or an asyncio.Event in its place, is readable, or until the ticks `deadline`, which may be None.

    No task is made for that: it would outlive a cancelled one, and unregister a later socket with the same number.
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

    def wake() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(sock, wake)
    except NotImplementedError:  # the default loop of Windows reports no readiness of sockets: poll
        await asyncio.sleep(_POLL_S if left_s is None else min(left_s, _POLL_S))
        return
    timer = None if left_s is None else loop.call_later(left_s, wake)
    try:
        await ready
    finally:
        loop.remove_reader(sock)
        if timer:
            timer.cancel()
