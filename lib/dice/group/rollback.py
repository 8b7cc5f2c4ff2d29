# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Evidence that the registry of a group manager is an older copy: what its members report. Only dice.group.manager imports this.

A report of a later epoch than the manager's, or of its epoch with another key, says so. The next epoch then follows the latest that
two members report, so that all accept it; one member alone is believed up to ALONE_EPOCHS. Reports of the last epochs of a group id
are not believed at all: they are the operator's, and after them comes another group id. Such an epoch begins at once, then a minute
apart, and for the same member after a time that doubles up to a day, as in dice.group.ration. docs/protocol.md, section 14.
"""

from .._typing import TYPING
from ..limits import ALONE_EPOCHS, CATCH_UP_MIN_MS, GROUP_EPOCH_MAX, OPERATOR_EPOCHS
from .ration import Ration

if TYPING:
    from collections.abc import Container


class Rollback:
    """The evidence of one group.

    * `ahead`: {identity: epoch} of members that have reported such an epoch, and no other since.
    * `last`: (identity, its epoch, that of the manager) of when an epoch began because of that, or None.
    """

    def __init__(self) -> None:
        self.ahead: dict[bytes, int] = {}
        self.last: tuple[bytes, int, int] | None = None
        self._ration = Ration(False, CATCH_UP_MIN_MS)

    def note(self, identity: bytes, epoch: int, conflict: bool, own: int) -> None:
        """Record the epoch of a report, and whether the member has another key of it; `own` is the manager's epoch."""
        self.ahead.pop(identity, None)
        if (epoch > own or (conflict and epoch == own)) and epoch < GROUP_EPOCH_MAX - OPERATOR_EPOCHS:
            self.ahead[identity] = epoch

    def base(self, own: int, members: "Container[bytes]") -> int:
        """Return the epoch after which the next one begins."""
        self.ahead = {i: epoch for i, epoch in self.ahead.items() if i in members and epoch >= own}
        epochs = sorted(self.ahead.values(), reverse=True)
        return max([own] + epochs[1:2] + [min(epoch, own + ALONE_EPOCHS) for epoch in epochs[:1]])

    def take(self, own: int, members: "Container[bytes]", now: int) -> bool:
        """Return whether an epoch must begin now because of `ahead`; if so, count it. `members`: those of the group."""
        self._ration.timeout(now)
        self.base(own, members)
        first = max(self.ahead, key=lambda i: self.ahead[i], default=b"")
        if not first or not self._ration.take(first, now):
            return False
        self.last = first, self.ahead[first], own
        return True

    def dues(self) -> "list[int | None]":
        """Return the ticks at which timeout() must be called."""
        return self._ration.dues()
