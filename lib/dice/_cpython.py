# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Functions of MicroPython that CPython does not have; never installed on a board."""

_PERIOD = 1 << 30


def const(value: int) -> int:
    """Return `value`. mpy-cross compiles the call away."""
    return value


def ticks_add(ticks: int, delta: int) -> int:
    """Return `ticks` plus `delta` milliseconds, which may be negative."""
    return (ticks + delta) % _PERIOD


def ticks_diff(end: int, start: int) -> int:
    """Return `end - start` in milliseconds, negative if `end` is earlier."""
    return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2
