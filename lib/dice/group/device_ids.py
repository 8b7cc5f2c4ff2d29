# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which SenderIDs and ListenerIDs members get in the next epoch; only dice.group.manager imports it."""

from .._typing import TYPING
from ..errors import UsageError
from ..limits import SENDERS_MAX
from ..reasons import E_NO_ID
from .gsa_encode import sender_id_max

if TYPING:
    from collections.abc import Container

    from .group_state import Change, GroupState


def assign_ids(
    state: "GroupState", change: "Change", had: "Container[int | None]", clashed: "Container[bytes]", sender: str, listener: str
) -> None:
    """Give ids to the members of `state` in the next epoch, in `change`, and let their counts begin anew.

    `had`: ids that are not free, because they were used in this epoch; `clashed`: members that get another id if one is free, after
    those that have none; `sender`: the role of which there are SENDERS_MAX; `listener`: the role without an id. Raises UsageError.
    """
    free = iter([i for i in range(1, sender_id_max(state.layout) + 1) if i not in had])
    senders = 0
    for identity in [i for i in state.members if i not in clashed] + [i for i in state.members if i in clashed]:
        old = state.members[identity]
        member = old.copy()
        member.sent = 0
        if change.fields["epoch"] == 1:
            member.held = member.offered = 0
        senders += member.role == sender
        if member.role != listener and (member.id is None or identity in clashed):
            member.id = next(free, member.id)
            if member.id is None:
                raise UsageError(E_NO_ID)
        if (member.id, member.sent, member.held, member.offered) != (old.id, old.sent, old.held, old.offered):
            change.members[identity] = member
    if senders > SENDERS_MAX:
        raise UsageError(E_NO_ID)
