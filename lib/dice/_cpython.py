# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Functions of MicroPython that CPython does not have; never installed on a board."""

PERIOD = 1 << 30  # of ticks


def const(value: int) -> int:
    """Return `value`. mpy-cross compiles the call away."""
    return value


def ticks_add(ticks: int, delta: int) -> int:
    """Return `ticks` plus `delta` milliseconds, which may be negative."""
    return (ticks + delta) % PERIOD


def ticks_diff(end: int, start: int) -> int:
    """Return `end - start` in milliseconds, negative if `end` is earlier."""
    return (end - start + PERIOD // 2) % PERIOD - PERIOD // 2
