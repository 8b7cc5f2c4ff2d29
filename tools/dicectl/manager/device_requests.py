# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The requests of commands about devices."""

import fnmatch

from dice.aio.wait import now
from dice.group.manager import ANSWERING, LISTENER, SENDER
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import certificates, presence
from dicectl.manager.group_requests import check_name
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.public_keys import PSK, RPK, PublicKey

ROLES = (SENDER, ANSWERING, LISTENER)
_WILDCARDS = "*?["


def is_pattern(word):
    """Return whether a word stands for all names that match it; a name has no such characters."""
    return any(c in word for c in _WILDCARDS)


class DeviceRequests:
    """Executes requests on a service.ManagerService: do_X(...) is the request X; values are those of JSON."""

    def __init__(self, service, groups):
        """`groups` is the GroupRequests of the same service."""
        self._service = service
        self._groups = groups

    def do_devices(self):
        return [
            {
                "name": name,
                "identity": identity.decode(),
                "groups": self._service.groups_of(identity),
                **self._key_words(identity),
                **presence.of_device(self._service.kdc, identity),
            }
            for name, identity in self._service.registry.devices().items()
        ]

    def do_device(self, name):
        """Return what is known of one device, without its key."""
        identity = self._service.identity(name)
        groups = [
            {"group": group, **member}
            for group in self._service.groups_of(identity)
            for member in self._groups.do_members(group)
            if member["identity"] == identity.decode()
        ]
        created = self._service.registry.made(identity)
        found = presence.of_device(self._service.kdc, identity)
        about = {"name": name, "identity": identity.decode(), **self._key_words(identity)}
        return {**about, "created": created, "groups": groups, **found}

    def _key_words(self, identity):
        """Return what anybody may know of a device's key."""
        key = self._service.registry.public.get(identity)
        if key is None:
            return {"kind": PSK}
        found = {"kind": key.kind, "fingerprint": key.fingerprint.hex()}
        if key.name:
            found |= {"certificate": key.name, "expires": key.not_after, "revoked": key.revoked_at}
        return found

    def do_names(self):
        """Return the names of all groups and devices, for completion."""
        return {"groups": sorted(self._service.managers), "devices": list(self._service.registry.devices())}

    def do_matching(self, patterns, group=None, member=True):
        """Return the names of devices that match one of the patterns, such as "lamp-*"; of a group: its members, or all others.

        A word that is no pattern stands for itself.
        """
        members = self._service.manager(group).state.members if group else {}
        found = []
        for pattern in patterns:
            if not is_pattern(pattern):
                found.append(pattern)
                continue
            found += [
                name
                for name, identity in self._service.registry.devices().items()
                if fnmatch.fnmatchcase(name, pattern) and (not group or (identity in members) == member)
            ]
        return list(dict.fromkeys(found))

    def do_provision(self, name, groups, point=None, chain=None):
        """Create a device that is a member of `groups`, {name: role}; return its configuration.

        `point`: the public key that it has made itself, hexadecimal; then its configuration has no key. None: a pre-shared one.
        `chain`: its certificate and the issuers of that, DER in hex, if it has one.
        """
        return self.do_provision_all([{"name": name, "groups": groups, "point": point, "chain": chain}])[0]

    def do_provision_all(self, devices):
        """Create devices, each as do_provision() does, in one transaction; return their configurations.

        A group begins one epoch for all of one role.
        """
        joining = {}  # names by group and role
        for device in devices:
            self._check(device["name"], device["groups"])
            for group, role in device["groups"].items():
                joining.setdefault((group, role), []).append(device["name"])
        with self._service.together():
            enrol = self._service.registry.enrol
            made = {
                device["name"]: enrol(device["name"], self._public_key(device.get("point"), device.get("chain")))
                for device in devices
            }
            for (group, role), names in joining.items():
                self._groups.do_add(group, names, role)
        return [self._settings(each["name"], *made[each["name"]], each["groups"], each.get("chain")) for each in devices]

    def _check(self, name, groups):
        """Raise CommandError if a device cannot have this name, or these groups and roles."""
        check_name(name, "device")
        for group, role in groups.items():
            self._service.manager(group)
            if role not in ROLES:
                raise CommandError(f"{role} is not a role: choose one of {', '.join(ROLES)}", USAGE)

    def check(self, name, groups):
        """Raise CommandError if enrol() would, because of these."""
        self._check(name, groups)
        if name in self._service.registry.devices():
            raise CommandError(f"there is a device {name} already: choose another name, or dicectl provision replace {name}", USAGE)

    def enrol(self, name, groups, key):
        """Create a device with a raw public key that is known already, a PublicKey, as do_provision() does."""
        self.check(name, groups)
        with self._service.together():
            identity, nothing = self._service.registry.enrol(name, key)
            for group, role in groups.items():
                self._groups.do_add(group, [name], role)
        return self._settings(name, identity, nothing, groups)

    def _public_key(self, point, chain):
        """Return the PublicKey of a point or of a chain of certificates, or None if there is neither; raises CommandError."""
        if point is None:
            return None
        own_keys.private(self._service.registry)  # in the same transaction, if it is new
        if chain:
            key = certificates.of_device(self._service.registry, chain)
            self._service.authorities.check(key)
            return key
        try:
            return PublicKey(RPK, own_keys.fingerprint(bytes.fromhex(point)))
        except ValueError:
            raise CommandError("this is no public key of P-256: the board has damaged it", FAILED)

    def _settings(self, name, identity, key, groups, chain=None):
        """Return the configuration of a device, for its node.json; that of a raw public key has the public one of the manager."""
        registry = self._service.registry
        credential = {"key": key.hex()}
        if identity in registry.public:
            credential = {"fingerprint": registry.public[identity].fingerprint.hex(), "servers": [own_keys.point(registry).hex()]}
        if chain:
            setting = registry.setting(certificates.SETTING)
            credential |= {"chain": chain, "anchors": setting["anchors"], "server": setting["name"]}
            if setting.get("pins"):
                credential["pins"] = setting["pins"]
            credential["since"] = certificates.read_leaf(bytes.fromhex(chain[0])).not_before
        return {
            "name": name,
            "identity": identity.decode(),
            **credential,
            "manager": self._service.updates.listed()[0],  # for a program that knows no list
            "managers": self._service.updates.listed(),
            "groups": list(groups),
        }

    def do_replace(self, name, point=None, chain=None):
        """Create a device that takes the place of another one, which is expelled; return the configuration of the new one.

        `point` and `chain` are as for do_provision().
        """
        old = self._service.identity(name)
        session_identities = self._service.registry.session_identities(old)
        groups = self._service.groups_of(old)
        with self._service.together():
            retired = f"{name}.{old.decode()}"[-64:]
            self._service.registry.rename(name, retired)
            self._service.registry.retire_key(old)
            identity, key = self._service.registry.enrol(name, self._public_key(point, chain))
            for group in groups:
                self._service.managers[group].replace(old, identity, now())
                self._service.kdc.changed(group)
            self._service.registry.wipe(retired)
        self._service.disconnect(old, session_identities)
        return self._settings(name, identity, key, groups, chain)

    def do_rename(self, name, other):
        """Give a device another name; nothing changes for the device itself."""
        identity = self._service.identity(name)
        check_name(other, "device")
        if other in self._service.registry.devices():
            raise CommandError(f"there is a device {other} already: choose another name", USAGE)
        self._service.registry.rename(name, other)
        return {"name": other, "identity": identity.decode(), "groups": list(self._service.groups_of(identity))}

    def do_wipe(self, name):
        """Expel a device from its groups and delete it."""
        return self.do_wipe_all([name])[0]

    def do_wipe_all(self, names):
        """Expel devices from their groups, each of which begins one epoch, and delete them."""
        identities = {name: self._service.identity(name) for name in names}
        groups = {name: list(self._service.groups_of(identity)) for name, identity in identities.items()}
        session_identities = {identity: self._service.registry.session_identities(identity) for identity in identities.values()}
        with self._service.together():
            for group in self._service.managers:
                leaving = [name for name in identities if group in groups[name]]
                if leaving:
                    self._groups.do_remove(group, leaving)
            for name in identities:
                self._service.registry.wipe(name)
        for identity in session_identities:
            self._service.disconnect(identity, session_identities[identity])
        return [{"name": name, "groups": groups[name]} for name in identities]
