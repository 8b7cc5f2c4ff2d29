# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about groups and their members."""

import re
import secrets

from dice.aio.wait import now
from dice.group.manager import SENDER, GroupState
from dice.group.presence import RETURNING
from dicectl.errors import USAGE, CommandError
from dicectl.manager import group_file, old_registry, presence
from dicectl.net import address as multicast
from dicectl.reasons import describe

_NAME = re.compile(r"[\w.-]{1,64}")
NAME_MAX_BYTES = 255 - len(".gsa.tmp")  # file systems, also those of boards, have names of 255 bytes


def check_name(name, what):
    """Raise CommandError unless `name` can be that of a new `what`, a group or a device: there are files with that name."""
    if not _NAME.fullmatch(name):
        raise CommandError(f"{name!r} cannot be the name of a {what}: use 1 to 64 letters, digits, . _ -", USAGE)
    if len(name.encode()) > NAME_MAX_BYTES:
        raise CommandError(f"{name} cannot be the name of a {what}: in UTF-8 it is longer than {NAME_MAX_BYTES} bytes", USAGE)


class GroupRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self._service = service

    def do_groups(self):
        return [self.do_show(name) for name in self._service.managers]

    def do_show(self, group, names_max=None):
        """Return the state of a group. `names_max`: name only so many members of each kind, for a command that polls.

        Then "counts" has how many there are, {kind: number}, and "cut" whether some are not named.
        """
        service, manager = self._service, self._service.manager(group)
        state, kdc = manager.state, service.kdc
        awaited = kdc.awaited(group)
        awake = {identity: kdc.is_awake(identity) for identity in state.members}
        kinds = {
            "missing": manager.undelivered,
            "untold": awaited,
            "awake": [identity for identity, is_awake in awake.items() if is_awake],
            "away": [identity for identity, is_awake in awake.items() if not is_awake],
            "returning": [i for i in state.members if kdc.presence.state(i) == RETURNING],
        }
        counts = {kind: len(identities) for kind, identities in kinds.items()}
        named = {kind: identities[:names_max] for kind, identities in kinds.items()}
        is_cut = names_max is not None and max(counts.values()) > names_max
        return {
            "name": state.name,
            "gid": state.gid.hex(),
            "address": multicast.text_of(state.address),
            "port": state.port,
            "epoch": state.epoch,
            "active": state.active,
            "in_use": state.active and not awaited,
            "settled": kdc.settled(group),
            "since": service.registry.since(group),
            "rekey_s": service.rekey_s[group],
            "lifetime_s": state.lifetime_s,
            "members": len(state.members),
            "senders": sum(member.role == SENDER for member in state.members.values()),
            "error": describe(service.rekey_errors.get(group) or kdc.errors().get(group, "")),
            **{kind: self._names(identities) for kind, identities in named.items()},
            "away": [self._away(identity, state.members[identity], state.epoch) for identity in named["away"]],
            **({} if names_max is None else {"counts": counts, "cut": is_cut}),
            "started_s": service.uptime_s(),
            "warnings": old_registry.warnings(service, group),
        }

    def _names(self, identities):
        return [self._service.registry.name(identity) for identity in identities]

    def _away(self, identity, member, epoch):
        """Return what is known of a member that is not awake."""
        found = presence.of_device(self._service.kdc, identity)
        return {"device": self._service.registry.name(identity), "has_epoch": member.held == epoch, **found}

    def do_members(self, group):
        state = self._service.manager(group).state
        return [
            {
                "device": self._service.registry.name(identity),
                "identity": identity.decode(),
                "role": member.role,
                "id": member.id,
                "epoch": member.held,
                "sent": member.sent,
                **presence.of_device(self._service.kdc, identity),
            }
            for identity, member in state.members.items()
        ]

    def _check_is_new(self, group):
        """Raise CommandError if there is a group with this name, or one whose GSA would be the same file on FAT or Windows."""
        if group in self._service.managers:
            raise CommandError(f"{group} cannot be the name of a new group: there is one already", USAGE)
        same = next((name for name in self._service.managers if name.casefold() == group.casefold()), None)
        if same:
            raise CommandError(f"{group} cannot be the name of a new group beside {same}: boards may not tell them apart", USAGE)

    def do_new(self, group, address=None, port=None, layout="k08", lifetime_s=0, rekey_s=0):
        self._check_is_new(group)
        check_name(group, "group")
        drawn = group_file.new(group, address, port)  # draws the address and the port that are not given
        packed = multicast.packed(drawn["address"])
        if any(manager.state.port == drawn["port"] for manager in self._service.managers.values()):
            raise CommandError(f"another group has port {drawn['port']}: each group needs its own", USAGE)
        state = GroupState(group, secrets.token_bytes(4), packed, drawn["port"], group_file.LAYOUTS[layout], lifetime_s)
        rekey_s = rekey_s or lifetime_s // 2
        self._service.registry.create(state, rekey_s)
        self._service.manage(state, rekey_s)
        return self.do_show(group)

    def do_add(self, group, devices, role):
        manager = self._service.manager(group)
        identities = [self._service.identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity in manager.state.members:
                raise CommandError(f"{name} is already a member of {group}", USAGE)
            if self._service.registry.is_revoked(identity):
                raise CommandError(f"the certificate of {name} is revoked: dicectl provision replace {name}", USAGE)
        manager.add(identities, role, now())
        self._service.kdc.changed(group)
        return self.do_show(group)

    def do_remove(self, group, devices):
        manager = self._service.manager(group)
        identities = [self._service.identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity not in manager.state.members:
                raise CommandError(f"{name} is not a member of {group}", USAGE)
        manager.remove(identities, now())
        self._service.kdc.changed(group)
        return self.do_show(group)

    def do_rekey(self, group):
        self._service.manager(group).rekey(now())
        self._service.kdc.changed(group)
        return self.do_show(group)
