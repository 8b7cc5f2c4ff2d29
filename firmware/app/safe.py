# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keeps a node that fails from restarting all the time: counts failures, and lets the watchdog reset a program that hangs.

A failure is an exception that ends the program, or a reset by the watchdog in the first minute of a start. A power cut is none.
After STARTS_MAX failures in a row the node works in safe mode for REST_S: it takes part in its groups and does nothing else. If
that fails too, it rests as long. Then the program gets one more start.
"""

import asyncio
import os
import sys
import time

STARTS_MAX = 5
REST_S = 600
_FILE = "starts"  # an "f" for each failure in a row, and an "r" while a start lasts less than a minute
_UP_S = 60  # after this time, a start is a success
_FEED_S = 2
_WATCHDOG_MS = 8000  # an RP2 allows up to 8388, others more; an ESP8266 its default alone, which is 5 s on all ports
_SHOWN_S = 5  # how long an exception is shown before the board resets itself
_LONGEST_MS = (3_600_000, 32_000, 16_000)  # of an ESP32, an STM32, a SAMD
_SLEEPS = ("esp32", "esp8266", "rp2")  # whose watchdog does not end a deep sleep, or can be stopped
_WATCHDOG_RP2040 = 0x40058000  # WATCHDOG_CTRL in the data sheets; writing to it at 0x3000 more clears bits
_WATCHDOG_RP2350 = 0x400D8000
_CLEAR_BITS = 0x3000
_ENABLE = 1 << 30


def may_start():
    """Begin a start, and count the one before if the watchdog has ended it; return False after too many failures in a row."""
    before = _read()
    count = before.count("f") + ("r" in before and _reset_by_watchdog())
    _write("f" * count + "r")
    return count < STARTS_MAX


def may_take_part():
    """Return whether safe mode has not failed yet, so that the node may take part in its groups in it."""
    return _read().count("f") == STARTS_MAX


def failed(error):
    """Count a start that an exception has ended, show it, and reset the board after a moment, if it can be reset."""
    _write("f" * (_read().count("f") + 1))
    try:
        from machine import reset
    except ImportError:
        return
    sys.print_exception(error)
    time.sleep(_SHOWN_S)
    reset()


def rest():
    """Wait. Ctrl-C leads to the prompt."""
    for _ in range(REST_S):
        time.sleep(1)


def allow_one():
    """Allow one more start at the end of safe mode."""
    _write("f" * (STARTS_MAX - 1) + "r")


def reset():
    """Forget failed starts."""
    try:
        os.remove(_FILE)
    except OSError:
        pass


def interrupted():
    """After Ctrl-C, forget failed starts and stop the watchdog."""
    reset()
    unwatch()


def unwatch():
    """Stop the watchdog, for which MicroPython has no call, or give it its longest time where it cannot be stopped.

    It must not end a sleep: an RP2040 is dead then (micropython#17228).
    """
    if sys.platform == "rp2":
        from machine import mem32

        registers = _WATCHDOG_RP2350 if "RP2350" in sys.implementation._machine else _WATCHDOG_RP2040
        mem32[registers + _CLEAR_BITS] = _ENABLE
    else:
        _watchdog(*({"timeout": ms} for ms in _LONGEST_MS))


def _watchdog(*choices):
    """Start the watchdog with the first options that the port accepts; return its feed(), or None if there is none."""
    try:
        from machine import WDT
    except ImportError:
        return None
    for options in choices:
        try:
            return WDT(**options).feed
        except (ValueError, OSError) as error:  # out of range, or it runs already and cannot be changed
            refused = error
    print("trouble: watchdog:", refused)
    return None


async def stay_up(program, success_s=_UP_S, sleeps=False):
    """Run a coroutine with the watchdog, if there is one. After `success_s`, its start counts as a success; None: never.

    `sleeps`: the program ends in deep sleep. It has no watchdog on ports whose watchdog would end that.
    """
    task = asyncio.create_task(program)
    feed = None
    if not sleeps or sys.platform in _SLEEPS:
        feed = _watchdog({"timeout": _WATCHDOG_MS}, {})
    up_s = 0
    while not task.done():
        if feed:
            feed()
        await asyncio.sleep(_FEED_S)
        up_s += _FEED_S
        if success_s and success_s <= up_s < success_s + _FEED_S:
            reset()
    await task


def _read():
    try:
        with open(_FILE) as file:
            return file.read().replace("s", "f")  # "s" by the versions before
    except (OSError, ValueError):
        return ""


def _write(text):
    """A file system that is full or read-only keeps no node from its work."""
    try:
        with open(_FILE, "w") as file:
            file.write(text)
    except OSError as error:
        print("trouble:", error)


def _reset_by_watchdog():
    """Return whether the watchdog has reset the board; also true after machine.reset() on an RP2."""
    try:
        from machine import WDT_RESET, reset_cause
    except ImportError:
        return False
    return reset_cause() == WDT_RESET
