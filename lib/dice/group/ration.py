# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How often epochs begin that the operator has not asked for; only dice.group.manager imports it. docs/protocol.md, section 14.

A cause is the identity of a member that joins for the first time, or reports a clash or a key that is nearly used up, or a number
for a cause that is that of no member. The time to the next epoch of a cause doubles with each one, from AUTOMATIC_REKEY_MIN_MS to
AUTOMATIC_REKEY_MAX_MS, and each time the latter has passed, one doubling is forgotten. Between two epochs of any causes is the
former. All times end in a call of timeout(), so that no ticks are compared past their half period.
"""

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..limits import AUTOMATIC_REKEY_MAX_MS, AUTOMATIC_REKEY_MIN_MS

if TYPING:
    from typing import Any

_ANY = const(0)  # all causes together


class Ration:
    """The ration of one group. `rests`: it begins with a wait, so that restarts do not shorten one; `min_ms`: the shortest wait."""

    def __init__(self, rests: bool, min_ms: int = AUTOMATIC_REKEY_MIN_MS) -> None:
        self.rests = rests
        self._min_ms = min_ms
        self._levels: dict[Any, int] = {}  # the number of doublings of a cause
        self._waits: dict[Any, int] = {}  # until when a cause has to wait
        self._forget_due: int | None = None  # when a doubling is forgotten

    def take(self, cause: "bytes | int", now: int) -> bool:
        """Return whether an epoch may begin now because of `cause`; if so, count it."""
        if self.rests:
            self.rests = False
            self._waits[_ANY] = ticks_add(now, self._min_ms)
        if _ANY in self._waits or cause in self._waits:
            return False
        level = self._levels.get(cause, 0)
        wait_ms = min(self._min_ms << level, AUTOMATIC_REKEY_MAX_MS)
        self._waits[_ANY] = ticks_add(now, self._min_ms)
        self._waits[cause] = ticks_add(now, wait_ms)
        if wait_ms < AUTOMATIC_REKEY_MAX_MS:
            self._levels[cause] = level + 1
        if self._forget_due is None:
            self._forget_due = ticks_add(now, AUTOMATIC_REKEY_MAX_MS)
        return True

    def dues(self) -> "list[int | None]":
        """Return the ticks at which timeout() must be called."""
        return [self._forget_due] + list(self._waits.values())

    def timeout(self, now: int) -> None:
        """End the waits that are over."""
        expire(self._waits, now)
        if self._forget_due is not None and ticks_diff(now, self._forget_due) >= 0:
            self._levels = {cause: level - 1 for cause, level in self._levels.items() if level > 1}
            self._forget_due = ticks_add(now, AUTOMATIC_REKEY_MAX_MS) if self._levels else None


def expire(times: "dict[Any, int]", now: int) -> None:
    """Remove the entries of {key: ticks} whose time has passed."""
    for key in [key for key, due in times.items() if ticks_diff(now, due) >= 0]:
        del times[key]
