# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about devices."""

from dice.aio.wait import now
from dice.group.manager import ANSWERING, LISTENER, SENDER
from dicectl.errors import USAGE, CommandError
from dicectl.manager.group_requests import NAME

ROLES = (SENDER, ANSWERING, LISTENER)


class DeviceRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service, groups):
        """`groups` is the GroupRequests of the same service."""
        self._service = service
        self._groups = groups

    def do_devices(self):
        connected = self._service.kdc.connected
        return [
            {
                "name": name,
                "identity": identity.decode(),
                "groups": self._service.groups_of(identity),
                "connected": identity in connected,
            }
            for name, identity in self._service.registry.devices().items()
        ]

    def do_provision(self, name, groups):
        """Create a device that is a member of `groups`, {name: role}; return its configuration."""
        if not NAME.fullmatch(name):
            raise CommandError(f"{name!r} cannot be the name of a device: use 1 to 64 letters, digits, . _ -", USAGE)
        for group, role in groups.items():
            self._service.manager(group)
            if role not in ROLES:
                raise CommandError(f"{role} is not a role: choose one of {', '.join(ROLES)}", USAGE)
        with self._service.together():
            identity, key = self._service.registry.enrol(name)
            for group, role in groups.items():
                self._groups.do_add(group, [name], role)
        return self._settings(name, identity, key, groups)

    def _settings(self, name, identity, key, groups):
        """Return the configuration of a device, for its node.json."""
        return {
            "name": name,
            "identity": identity.decode(),
            "key": key.hex(),
            "manager": self._service.address,
            "groups": list(groups),
        }

    def do_replace(self, name):
        """Create a device that takes the place of another one, which is expelled; return the configuration of the new one."""
        old = self._service.identity(name)
        groups = self._service.groups_of(old)
        with self._service.together():
            retired = f"{name}.{old.decode()}"[-64:]
            self._service.registry.rename(name, retired)
            identity, key = self._service.registry.enrol(name)
            for group in groups:
                self._service.managers[group].replace(old, identity, now())
                self._service.kdc.changed(group)
            self._service.registry.wipe(retired)
        self._service.disconnect(old)
        return self._settings(name, identity, key, groups)

    def do_wipe(self, name):
        """Expel a device from its groups and delete it."""
        identity = self._service.identity(name)
        groups = self._service.groups_of(identity)
        with self._service.together():
            for group in groups:
                self._groups.do_remove(group, [name])
            self._service.registry.wipe(name)
        self._service.disconnect(identity)
        return {"name": name, "groups": list(groups)}
