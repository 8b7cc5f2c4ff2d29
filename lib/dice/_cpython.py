# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What CPython lacks of MicroPython; never installed on a board (row 0)."""

_PERIOD = 1 << 30


def const(value):
    """Return `value`; mpy-cross folds the call away."""
    return value


def ticks_add(ticks, delta):
    """Return `ticks` moved by `delta` milliseconds."""
    return (ticks + delta) % _PERIOD


def ticks_diff(end, start):
    """Return `end - start` in milliseconds, negative when `end` is earlier."""
    return (end - start + _PERIOD // 2) % _PERIOD - _PERIOD // 2
