# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How far the members of a group are with its current epoch; only dice.group.manager imports it.

It is kept up to date member by member: what an acknowledgement or a GSA costs does not depend on how many members there are.
"""

from .._typing import TYPING

if TYPING:
    from collections.abc import Callable

    from .group_state import GroupState


class Progress:
    """The members that are behind, and those with the role `sender`, as keys of dicts, which keep an order."""

    def __init__(self, sender: str) -> None:
        self.undelivered: dict[bytes, bool] = {}  # they have not acknowledged the epoch
        self.not_entered: dict[bytes, bool] = {}  # they are not known to have entered it
        self.senders: dict[bytes, bool] = {}
        self.entered: dict[bytes, int] = {}  # the latest epoch that a member has entered, by its reports
        self._sender = sender
        self._witness: bytes | None = None  # a member that is awake and has not acknowledged

    def begin(self, state: "GroupState") -> None:
        """Begin anew, with the epoch of `state`."""
        self.undelivered = {}
        self.not_entered = {}
        self.senders = {}
        self.entered = {identity: epoch for identity, epoch in self.entered.items() if identity in state.members}
        for identity in state.members:
            self.note(state, identity)

    def note(self, state: "GroupState", identity: bytes) -> None:
        """Note how far a member is now, or that it is none any more."""
        member = state.members.get(identity)
        for listed, belongs in (
            (self.undelivered, member and member.held < state.epoch),
            (self.not_entered, member and self.entered.get(identity) != state.epoch),
            (self.senders, member and member.role == self._sender),
        ):
            if belongs:
                listed[identity] = True
            else:
                listed.pop(identity, None)

    def lacks_activation(self, state: "GroupState", identity: bytes) -> bool:
        """Return whether a device is a member that is to enter the epoch, and is not known to have done that."""
        return state.active and identity in self.not_entered and identity not in self.undelivered

    def enter(self, identity: bytes, epoch: int) -> None:
        """Note that a member has entered `epoch`, the current one."""
        self.entered[identity] = epoch
        self.not_entered.pop(identity, None)

    def is_awaited(self, is_awake: "Callable[[bytes], bool]") -> bool:
        """Return whether a member that has not acknowledged is awake. The last one found is asked first; they come in order."""
        if self._witness is None or self._witness not in self.undelivered or not is_awake(self._witness):
            self._witness = None
            for identity in reversed(list(self.undelivered)):
                if is_awake(identity):
                    self._witness = identity
                    break
        return self._witness is not None
