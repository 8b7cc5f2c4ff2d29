# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The one place where dice distinguishes CPython and MicroPython.

`ticks_add` and `ticks_diff` are those of MicroPython: ticks are milliseconds that wrap, and only differences below half their
period have a meaning.
"""

import sys

MICROPYTHON = sys.implementation.name == "micropython"

if not MICROPYTHON:  # first, so that a type checker takes these
    from ._cpython import const, ticks_add, ticks_diff
else:
    from time import ticks_add, ticks_diff  # type: ignore[attr-defined,no-redef] # noqa: F401

    from micropython import const  # type: ignore[import-not-found,no-redef] # noqa: F401

if sys.platform in ("linux", "darwin"):
    from ._posix import Locked, create, sync
else:
    create = open
    Locked = object

    def sync(path: str) -> None:
        """Do nothing: the littlefs and FAT of a board are durable on close and on rename."""
