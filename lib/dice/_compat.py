# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The one place where CPython and MicroPython are told apart (row 0: imports nothing of dice).

`ticks_*` are MicroPython's: milliseconds that wrap; only differences of less than half the period mean anything.
"""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    from time import ticks_add, ticks_diff, ticks_ms

    from micropython import const
else:
    import time

    _PERIOD = 1 << 30

    def const(value):
        """Return `value`; mpy-cross folds the call away."""
        return value

    def ticks_ms():
        """Return a monotonic time in milliseconds, modulo 2**30."""
        return time.monotonic_ns() // 1_000_000 % _PERIOD

    def ticks_add(ticks, delta):
        """Return `ticks` moved by `delta` milliseconds."""
        return (ticks + delta) % _PERIOD

    def ticks_diff(end, start):
        """Return `end - start` in milliseconds, negative when `end` is earlier."""
        return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2


if sys.platform in ("linux", "darwin"):
    from dice._posix import create, sync
else:

    def create(path):
        """Open a file for writing."""
        return open(path, "wb")

    def sync(path):
        """Do nothing: a board's littlefs and FAT are durable on close and on rename."""
