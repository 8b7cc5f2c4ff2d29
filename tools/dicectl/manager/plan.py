# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The effects of a request before it is made: it is executed on a shadow of the service.

The shadow's transaction in the registry is undone. So the request takes the way of a real one, with the same errors, and leaves no
trace: not in the registry, in no group, in no session. The answer has no keys.
"""

import secrets

from dice.aio.wait import now
from dice.group.manager import Manager
from dicectl.errors import FAILED, CommandError

# The requests that change nothing but the registry, the groups and the sessions of devices.
PLANNED = {
    *("new", "add", "remove", "rekey", "role", "set", "delete"),
    *("provision", "provision_all", "replace", "wipe", "wipe_all", "rename"),
}

# These have a dry run of their own: they return after their checks.
CHECKED = {"rotate", "set_managers", "contact"}


class _Undo(Exception):
    """Ends a transaction that is not meant to last."""


class _NoDelivery:
    """Looks like a Kdc that has the devices of another one connected, and delivers nothing."""

    def __init__(self, kdc):
        self._kdc = kdc
        self.connected = dict.fromkeys(kdc.connected, _NoSession())

    def __getattr__(self, name):
        return getattr(self._kdc, name)

    def _ignore(self, *_):
        pass

    add = remove = changed = forget = _ignore

    def settled(self, name):
        return False

    def not_activated(self, name):
        return []

    awaited = not_activated


class _NoSession:
    def close(self):
        """Do nothing."""


def _shadow(service):
    """Return a copy of a service.ManagerService whose changes stay in it."""
    shadow = service.shadow(_NoDelivery(service.kdc))
    for name, manager in service.managers.items():
        shadow.managers[name] = Manager(manager.state.copy(), service.registry.commit, secrets.token_bytes, now())
        shadow.managers[name].connected = shadow.kdc.connected
    return shadow


def of(service, request):
    """Return what a request would do: {"devices": {...}, "groups": [...]}; raises CommandError as the request itself would.

    * "devices": "created", "deleted": names; "renamed": {name: new name}.
    * "groups": those that would change: "name"; "epoch", "next_epoch"; "new_master_key": whether somebody is expelled; "added",
      "expelled", "roles": {device: role}; "members", "awake": how many get new keys, and how many of them at once; "created",
      "deleted"; "lifetime_s", "rekey_s" if they would change.
    """
    if request["do"] not in PLANNED:
        raise CommandError(f"this manager does not know a dry run of {request['do']}: is it another version of dicectl?", FAILED)
    shadow = _shadow(service)
    names = {identity: name for name, identity in service.registry.devices().items()}
    try:
        with service.registry.together():
            shadow.do(request)
            after = {identity: name for name, identity in service.registry.devices().items()}
            raise _Undo
    except _Undo:
        pass
    devices = {
        "created": sorted(after[identity] for identity in after.keys() - names.keys()),
        "deleted": sorted(names[identity] for identity in names.keys() - after.keys()),
        "renamed": {names[i]: after[i] for i in sorted(after.keys() & names.keys()) if names[i] != after[i]},
    }
    named = {**names, **after}
    return {"dry_run": True, "devices": devices, "groups": list(_groups(service, shadow, named))}


def _groups(service, shadow, names):
    for name in service.managers.keys() | shadow.managers.keys():
        before, after = service.managers.get(name), shadow.managers.get(name)
        if before is None or after is None:
            state = (before or after).state
            yield {"name": name, "created" if before is None else "deleted": True, "members": len(state.members)}
            continue
        found = _difference(before.state, after.state, names)
        if service.rekey_s[name] != shadow.rekey_s[name]:
            found["rekey_s"] = shadow.rekey_s[name]
        if found:
            awake = sum(map(service.kdc.is_awake, after.state.members))
            yield {"name": name, "members": len(after.state.members), "awake": awake, **found}


def _difference(before, after, names):
    """Return what differs between two GroupStates, for people; nothing if nothing does."""
    added = {names[i]: member.role for i, member in after.members.items() if i not in before.members}
    expelled = [names[i] for i in before.members if i not in after.members]
    roles = {names[i]: m.role for i, m in after.members.items() if i in before.members and before.members[i].role != m.role}
    found = {"added": added, "expelled": expelled, "roles": roles}
    if after.epoch != before.epoch:
        found |= {"epoch": before.epoch, "next_epoch": after.epoch, "new_master_key": after.tgk != before.tgk}
    if after.lifetime_s != before.lifetime_s:
        found["lifetime_s"] = after.lifetime_s
    return {key: value for key, value in found.items() if value not in ({}, [])}
