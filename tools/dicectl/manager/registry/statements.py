# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Statements of SQLAlchemy Core for the rows of a registry that are many, or that are read without opening it."""

import sqlalchemy as sa

from dicectl.manager.registry import sealing
from dicectl.manager.registry.schema import AUDIT, MEMBER, SESSION, SETTING
from dicectl.manager.registry.storage import detail_of

SESSION_COLUMNS = ("address", "token", "heard", "state", "back")
MEMBER_COLUMNS = ("role", "id", "held", "sent", "offered")


def sealing_setting():
    """Return the statement that selects whether a registry is encrypted; check_setting() takes its rows."""
    return sa.select(SETTING.c.value).where(SETTING.c.name == sealing.SETTING)


def entries_after(after, limit=None):
    """Return the statement that selects the first entries of the log with numbers above `after`."""
    columns = (AUDIT.c.number, AUDIT.c.at, AUDIT.c.event, AUDIT.c.group_name, AUDIT.c.device, AUDIT.c.detail)
    return sa.select(*columns).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(limit)


REMOVE_MEMBER = MEMBER.delete().where((MEMBER.c.group_name == sa.bindparam("g")) & (MEMBER.c.identity == sa.bindparam("i")))
CHANGE_MEMBER = (
    MEMBER.update()
    .where((MEMBER.c.group_name == sa.bindparam("g")) & (MEMBER.c.identity == sa.bindparam("i")))
    .values({name: sa.bindparam(f"_{name}") for name in MEMBER_COLUMNS})
)
END_SESSION = SESSION.delete().where(SESSION.c.identity == sa.bindparam("i"))
CHANGE_SESSION = SESSION.update().where(SESSION.c.identity == sa.bindparam("i"))
CHANGE_SESSION = CHANGE_SESSION.values({name: sa.bindparam(f"_{name}") for name in SESSION_COLUMNS})


def changed_member(group, identity, member):
    """Return the parameters of CHANGE_MEMBER for the MemberRecord of one member."""
    return {"g": group, "i": identity, **{f"_{name}": getattr(member, name) for name in MEMBER_COLUMNS}}


def audit_row(entry):
    """Return the row of an entry of the audit log."""
    columns = {name: entry[name] for name in ("number", "at", "event", "device")}
    return {**columns, "group_name": entry["group"], "detail": detail_of(entry)}
