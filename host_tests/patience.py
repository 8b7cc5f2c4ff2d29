# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Functions that wait for an event which must happen, for tests that run in real time.

No duration is promised, because a machine may be slow or busy. PATIENCE_S is only less than the time limit of a test with a
marker (host_tests/conftest.py), so that the failure can name the event.
"""

import asyncio
import time

PATIENCE_S = 300
_LOOK_S = 0.02


def until(condition, what="it", details=lambda: ""):
    """Wait until `condition()` is true, and return its result; `details()` is added to the failure."""
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
