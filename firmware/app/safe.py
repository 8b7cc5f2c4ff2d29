# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keeps a node that fails from restarting all the time: counts starts, and lets the watchdog reset a program that hangs.

After too many failed starts in a row the board rests between two, since what failed may have been its surroundings, such as a name
server that was away.
"""

import asyncio
import os
import sys
import time

STARTS_MAX = 5
REST_S = 600
_FILE = "starts"
_UP_S = 60  # after this time, a start is a success
_FEED_S = 2
_WATCHDOG_MS = 8000  # the longest time of an RP2040
_HOUR_MS = 3_600_000
_WATCHDOG_RP2040 = 0x40058000  # WATCHDOG_CTRL in the data sheets; writing to it at 0x3000 more clears bits
_WATCHDOG_RP2350 = 0x400D8000
_CLEAR_BITS = 0x3000
_ENABLE = 1 << 30


def may_start():
    """Count a start; return False after too many failed ones in a row."""
    try:
        starts = os.stat(_FILE)[6]
    except OSError:
        starts = 0
    if starts >= STARTS_MAX:
        return False
    with open(_FILE, "a") as file:  # its length is the count
        file.write("s")
    return True


def rest():
    """Wait; then allow one more start. Ctrl-C leads to the prompt."""
    for _ in range(REST_S):
        time.sleep(1)
    with open(_FILE, "w") as file:
        file.write("s" * (STARTS_MAX - 1))


def reset():
    """Forget failed starts."""
    try:
        os.remove(_FILE)
    except OSError:
        pass


def interrupted():
    """After Ctrl-C, forget failed starts and stop the watchdog, for which MicroPython has no call."""
    reset()
    if sys.platform == "rp2":
        from machine import mem32

        registers = _WATCHDOG_RP2350 if "RP2350" in sys.implementation._machine else _WATCHDOG_RP2040
        mem32[registers + _CLEAR_BITS] = _ENABLE
    elif sys.platform == "esp32":
        from machine import WDT

        WDT(timeout=_HOUR_MS)


async def stay_up(program):
    """Run a coroutine with the watchdog, if there is one. After a while, its start counts as a success."""
    task = asyncio.create_task(program)
    try:
        from machine import WDT

        feed = WDT(timeout=_WATCHDOG_MS).feed
    except ImportError:
        feed = None
    up_s = 0
    while not task.done():
        if feed:
            feed()
        await asyncio.sleep(_FEED_S)
        up_s += _FEED_S
        if _UP_S <= up_s < _UP_S + _FEED_S:
            reset()
    await task
