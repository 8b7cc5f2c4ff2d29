# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands that change a group as a whole: its periods, the role of a member, and its end."""

from dice.aio.wait import now
from dice.group.group_state import Change, MemberRecord
from dice.group.manager import SENDER
from dicectl.errors import USAGE, CommandError

LIFETIME_MAX_S = (1 << 32) - 1


def check_periods(lifetime_s, rekey_s):
    """Raise CommandError if keys would expire before they are renewed."""
    if lifetime_s and rekey_s >= lifetime_s:
        raise CommandError("keys must be renewed before their lifetime ends: choose a shorter --rekey-every", USAGE)


class GroupChanges:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service, groups):
        """`groups` is the GroupRequests of the same service."""
        self._service = service
        self._groups = groups

    def do_role(self, group, devices, role):
        """Give members another role, in one new epoch. A device that may send no more is obeyed no longer than an expelled one."""
        manager = self._service.manager(group)
        members = manager.state.members
        change = Change()
        demoted = False
        for name in devices:
            identity = self._service.identity(name)
            if identity not in members:
                raise CommandError(f"{name} is not a member of {group}: dicectl group add {group} {name} --role {role}", USAGE)
            old = members[identity]
            if old.role == role:
                raise CommandError(f"{name} is a {role} of {group} already", USAGE)
            demoted |= old.role == SENDER
            change.members[identity] = MemberRecord(role, None, old.held)
        manager.begin(change, now(), demoted)
        self._service.kdc.changed(group)
        return self._groups.do_show(group)

    def do_set(self, group, lifetime_s=None, rekey_s=None):
        """Change periods. A lifetime is part of the keys, so another one begins an epoch."""
        manager = self._service.manager(group)
        lifetime_s = manager.state.lifetime_s if lifetime_s is None else lifetime_s
        if rekey_s is None:
            rekey_s = self._service.rekey_s[group]
            if lifetime_s and not 0 < rekey_s < lifetime_s:
                rekey_s = lifetime_s // 2
        check_periods(lifetime_s, rekey_s)
        with self._service.together():
            if lifetime_s != manager.state.lifetime_s:
                change = Change()
                change.fields["lifetime_s"] = lifetime_s
                if manager.state.epoch:
                    manager.begin(change, now())
                else:
                    self._service.registry.commit(manager.state, change)
                    manager.state.apply(change)
            if rekey_s != self._service.rekey_s[group]:
                self._service.registry.set_rekey(group, rekey_s)
        self._service.rekey_s[group] = rekey_s
        self._service.kdc.changed(group)
        return self._groups.do_show(group)

    def do_delete(self, group):
        """End a group. Its members keep their keys until the lifetime of these ends."""
        state = self._service.manager(group).state
        self._service.registry.delete_group(group)
        self._service.unmanage(group)
        return {"name": group, "members": len(state.members), "lifetime_s": state.lifetime_s, "epoch": state.epoch}
