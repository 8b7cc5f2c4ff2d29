# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Functions that raise exceptions on demand, for tests of what tasks survive."""

ONCE = (OSError(5), MemoryError(), ValueError("buffer error"), KeyError("x"), TypeError("x"))  # each may be raised once


class Faulty:
    """Calls `call`, but first raises the exceptions in `errors`, and `last` whenever it is set."""

    def __init__(self, call):
        self.errors = []
        self.last = None
        self._call = call

    def __call__(self, *arguments):
        if self.errors:
            raise self.errors.pop(0)
        if self.last:
            raise self.last
        return self._call(*arguments)
