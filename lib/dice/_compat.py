# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The one place where CPython and MicroPython are told apart (row 0: imports of dice only what stands in for these).

`ticks_*` are MicroPython's: milliseconds that wrap; only differences of less than half the period mean anything.
"""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if MICROPYTHON:
    from time import ticks_add, ticks_diff

    from micropython import const
else:
    from ._cpython import const, ticks_add, ticks_diff  # noqa: F401 - for all others

if sys.platform in ("linux", "darwin"):
    from ._posix import create, sync
else:
    create = open

    def sync(path):
        """Do nothing: a board's littlefs and FAT are durable on close and on rename."""
