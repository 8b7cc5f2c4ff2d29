# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The meaning of a Change of a GroupState: for the audit log, and for when it has to be durable."""

ACKNOWLEDGED = "acknowledged"  # the event of which there is one for each member and epoch


def acknowledges(state, change):
    """Return whether a Change does no more than record what members hold and have sent."""
    if change.fields or not change.members:
        return False
    for identity, member in change.members.items():
        old = state.members.get(identity)
        if not old or not member or (member.role, member.id, member.offered) != (old.role, old.id, old.offered):
            return False
    return True


def events(state, change):
    """Yield (event, identity or None, detail) for what a Change of a GroupState does."""
    for identity, member in change.members.items():
        if member is None:
            yield "removed", identity, {}
    for identity, member in change.members.items():
        old = state.members.get(identity)
        if member is None:
            continue
        if old is None:
            yield "added", identity, {"role": member.role, "id": member.id}
            continue
        if member.held > old.held:
            yield ACKNOWLEDGED, identity, {"epoch": member.held}
        if member.id != old.id:
            yield "id", identity, {"id": member.id}
    epoch = change.fields.get("epoch", state.epoch)
    if epoch != state.epoch:
        yield "epoch", None, {"epoch": epoch, "new_master_key": "tgk" in change.fields}
    if change.fields.get("active") and (not state.active or epoch != state.epoch):
        yield "active", None, {"epoch": epoch}
