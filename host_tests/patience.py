# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Waiting for something that must happen, in tests that run in real time.

How long it takes is not promised: a machine may be slow or busy. PATIENCE_S is only short enough for the failure to come before
the time limit of a test with a marker (host_tests/conftest.py), so that it can say what was waited for.
"""

import asyncio
import time

PATIENCE_S = 300
_LOOK_S = 0.02


def until(condition, what="it", details=lambda: ""):
    """Wait until `condition()` is true, and return its result; `details()` is shown with the failure."""
    end = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for {what}\n{details()}"
        time.sleep(_LOOK_S)
    return result


async def until_async(condition, what="it"):
    """Wait until `condition()` is true, and return its result."""
    end = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for {what}"
        await asyncio.sleep(_LOOK_S)
    return result


async def soon(awaitable):
    """Return the result of an awaitable that must have one."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)
