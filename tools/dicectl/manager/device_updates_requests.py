# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about keys of devices and the list of managers, which devices get over their sessions."""

from dicectl.errors import USAGE, CommandError
from dicectl.manager.device_updates import check_managers
from dicectl.manager.registry.public_keys import CERTIFICATE

ROTATE_MAX = 100  # in one transaction: the manager does nothing else meanwhile


class DeviceUpdatesRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service):
        self._service = service

    def do_rotate(self, names, dry_run=False):
        """Begin to change the keys of devices, ROTATE_MAX at most; return {name: the number that the key gets}.

        `dry_run`: check everything, change nothing, and return {name: None}.
        """
        registry = self._service.registry
        if len(names) > ROTATE_MAX:
            raise CommandError(f"one request changes {ROTATE_MAX} keys at most", USAGE)
        identities = {name: self._service.identity(name) for name in names}
        for name, identity in identities.items():
            if registry.kind(identity) == CERTIFICATE:
                advice = f"dicectl provision renew {name}, and replace for another key"
                raise CommandError(f"{name} has a certificate, which is renewed with the key that it has: {advice}", USAGE)
        if dry_run:
            return dict.fromkeys(identities)
        with registry.together():
            for identity in identities.values():
                registry.begin_key_change(identity)
        self._service.updates.changed(identities.values())
        return {name: registry.key_number(identity) + 1 for name, identity in identities.items()}

    def do_rotation(self, numbers):
        """Return {name: why not yet} of the devices whose key has not got the number that do_rotate() has returned."""
        registry = self._service.registry
        found = {}
        for name, number in numbers.items():
            identity = registry.devices().get(name)
            if identity is None:
                found[name] = "it was deleted"
            elif registry.key_number(identity) < number:
                found[name] = self._service.updates.why_not(identity)
        return found

    def do_managers(self):
        """Return the list, and who has it."""
        updates, registry = self._service.updates, self._service.registry
        behind = {registry.name(identity): self._service.updates.why_not(identity) for identity in updates.behind()}
        return {
            "active": self._service.address,
            "list": updates.listed(),
            "devices": len(registry.devices()),
            "behind": behind,
        }

    def do_set_managers(self, managers, dry_run=False):
        """Change the list, and return do_managers(). `dry_run`: check it, change nothing, and return the list."""
        if dry_run:
            check_managers(managers)
            return {"list": managers}
        self._service.updates.list_managers(managers)
        return self.do_managers()
