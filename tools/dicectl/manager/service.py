# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A running manager: a registry, a key distribution center that serves its groups, and what it is told to do."""

import asyncio
import contextlib
import re
import secrets
import sqlite3

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import D00, K08
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control, group_file
from dicectl.reasons import SENTENCES

ROLES = (SENDER, ANSWERING, LISTENER)
LAYOUTS = {"k08": K08, "d00": D00}
SESSIONS_MAX = 4096
HALF_OPEN_MAX = 64
_LOOK_S = 1.0  # how often it looks whether a re-key is due
_NAME = re.compile(r"[\w.-]{1,64}")


class ManagerService:
    """What `dicectl manager run` runs: start(), then do() whatever comes over the control socket, until close()."""

    def __init__(self, registry):
        self.registry = registry
        self.managers = {}
        self.kdc = None
        self._rekey_s = {}
        self._service = self._server = self._clock = None

    async def start(self, port, host, timer_ms=None, transport=None):
        """Serve devices on a UDP port, under the name or address `host`, and commands on the control socket."""
        self.kdc = Kdc()
        self._at = {"host": host, "port": port}
        for state, rekey_s, _ in self.registry.states():
            self._manage(state, rekey_s)
        lookup = PskLookup(self.registry.find)
        options = {
            "sessions_max": SESSIONS_MAX,
            "half_open_max": HALF_OPEN_MAX,
            "cid_bytes": 4,
            "timer_ms": timer_ms,
            "transport": transport,
        }
        self._service = await dice.serve(port, lookup, self.kdc.serve, **options)
        self._server = await control.serve(self.registry.path, self.do)
        self._clock = asyncio.create_task(self._rekey_in_time())

    def close(self):
        """End it; a manager that is killed instead has lost nothing."""
        self._clock.cancel()
        self._server.close()
        self._service.close()
        self.kdc.close()

    def do(self, request):
        """Do what a command asks for and return what it is to know; raises CommandError."""
        name = request.pop("do", None)
        action = getattr(self, f"_do_{name}", None)
        if action is None:
            raise CommandError(f"this manager does not know {name}: is it of another version?")
        try:
            return action(**request)
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        except sqlite3.Error as error:
            raise CommandError(f"the registry cannot be written ({error}): make room on its disk; what failed was not done", FAILED)
        except TypeError as error:
            raise CommandError(f"this manager does not understand {name}: is it of another version? ({error})")

    def _manage(self, state, rekey_s):
        self.managers[state.name] = manager = Manager(state, self.registry.commit, secrets.token_bytes, now())
        self._rekey_s[state.name] = rekey_s
        self.kdc.add(manager)

    def _manager(self, group):
        manager = self.managers.get(group)
        if manager is None:
            known = ", ".join(self.managers) or "none yet: dicectl group new"
            raise CommandError(f"there is no group {group}; there are: {known}", USAGE)
        return manager

    def _identity(self, name):
        identity = self.registry.devices().get(name)
        if identity is None:
            raise CommandError(f"there is no device {name}: dicectl provision new {name}", USAGE)
        return identity

    @contextlib.contextmanager
    def _together(self):
        """Make one change of all that are made inside, in the registry and here."""
        before = {name: manager.state for name, manager in self.managers.items()}
        try:
            with self.registry.together():
                yield
        except BaseException:
            for name, state in before.items():
                self.managers[name].state = state
            raise

    async def _rekey_in_time(self):
        while True:
            await asyncio.sleep(_LOOK_S)
            for name, manager in self.managers.items():
                period = self._rekey_s[name]
                if period and manager.state.epoch and self.registry.now() - self.registry.since(name) >= period:
                    with contextlib.suppress(DiceError, sqlite3.Error):  # then it is due still
                        manager.rekey(now())
                        self.kdc.changed(name)

    # What commands ask for.

    def _do_groups(self):
        return [self._do_show(name) for name in self.managers]

    def _do_show(self, group):
        state = self._manager(group).state
        missing = self._manager(group).undelivered
        return {
            "name": state.name,
            "gid": state.gid.hex(),
            "address": ".".join(map(str, state.address)),
            "port": state.port,
            "epoch": state.epoch,
            "active": state.active,
            "settled": self.kdc.settled(group),
            "since": self.registry.since(group),
            "rekey_s": self._rekey_s[group],
            "lifetime_s": state.lifetime_s,
            "members": len(state.members),
            "senders": sum(member.role == SENDER for member in state.members.values()),
            "error": str(self.kdc.errors().get(group, "")),
            "missing": [self.registry.name(identity) for identity in missing],
            "untold": [self.registry.name(identity) for identity in self.kdc.untold(group)],
        }

    def _do_members(self, group):
        state = self._manager(group).state
        return [
            {
                "device": self.registry.name(identity),
                "identity": identity.decode(),
                "role": member.role,
                "id": member.id,
                "epoch": member.held,
                "sent": member.sent,
                "connected": identity in self.kdc.peers,
            }
            for identity, member in state.members.items()
        ]

    def _do_new(self, group, address=None, port=None, layout="k08", lifetime_s=0, rekey_s=0):
        if not _NAME.fullmatch(group) or group in self.managers:
            raise CommandError(f"{group} is no name for a new group: 1 to 64 letters, digits, . _ - that are not taken", USAGE)
        drawn = group_file.new(group, address, port)  # where none is given
        octets = bytes(map(int, drawn["address"].split(".")))
        if any(manager.state.port == drawn["port"] for manager in self.managers.values()):
            raise CommandError(f"another group has port {drawn['port']}: each needs its own", USAGE)
        state = GroupState(group, secrets.token_bytes(4), octets, drawn["port"], LAYOUTS[layout], lifetime_s)
        rekey_s = rekey_s or lifetime_s // 2
        self.registry.create(state, rekey_s)
        self._manage(state, rekey_s)
        return self._do_show(group)

    def _do_add(self, group, devices, role):
        manager = self._manager(group)
        identities = [self._identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity in manager.state.members:
                raise CommandError(f"{name} is a member of {group} already", USAGE)
        manager.add(identities, role, now())
        self.kdc.changed(group)
        return self._do_show(group)

    def _do_remove(self, group, devices):
        manager = self._manager(group)
        identities = [self._identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity not in manager.state.members:
                raise CommandError(f"{name} is no member of {group}", USAGE)
        manager.remove(identities, now())
        self.kdc.changed(group)
        return self._do_show(group)

    def _do_rekey(self, group):
        self._manager(group).rekey(now())
        self.kdc.changed(group)
        return self._do_show(group)

    def _groups_of(self, identity):
        """Return {group: role} of a device."""
        members = {name: manager.state.members.get(identity) for name, manager in self.managers.items()}
        return {name: member.role for name, member in members.items() if member}

    def _do_devices(self):
        devices = self.registry.devices().items()
        connected = self.kdc.peers
        return [
            {"name": name, "identity": i.decode(), "groups": self._groups_of(i), "connected": i in connected} for name, i in devices
        ]

    def _do_provision(self, name, groups):
        """Make a device that is a member of `groups`, {name: role}; return its configuration."""
        if not _NAME.fullmatch(name):
            raise CommandError(f"{name!r} is no name for a device: 1 to 64 letters, digits, . _ -", USAGE)
        for group, role in groups.items():
            self._manager(group)
            if role not in ROLES:
                raise CommandError(f"{role} is no role: {', '.join(ROLES)}", USAGE)
        with self._together():
            identity, key = self.registry.enrol(name)
            for group, role in groups.items():
                self._do_add(group, [name], role)
        return self._settings(name, identity, key, groups)

    def _settings(self, name, identity, key, groups):
        """Return what a device is to have."""
        return {"name": name, "identity": identity.decode(), "key": key.hex(), "manager": self._at, "groups": list(groups)}

    def _do_replace(self, name):
        """Make a device that takes the place of another, which is expelled; return its configuration."""
        old = self._identity(name)
        groups = self._groups_of(old)
        with self._together():
            retired = f"{name}.{old.decode()}"[-64:]
            self.registry.rename(name, retired)
            identity, key = self.registry.enrol(name)
            for group in groups:
                self.managers[group].replace(old, identity, now())
                self.kdc.changed(group)
            self.registry.wipe(retired)
        self._hang_up(old)
        return self._settings(name, identity, key, groups)

    def _do_wipe(self, name):
        """Expel a device from its groups and forget it."""
        identity = self._identity(name)
        groups = self._groups_of(identity)
        with self._together():
            for group in groups:
                self._do_remove(group, [name])
            self.registry.wipe(name)
        self._hang_up(identity)
        return {"name": name, "groups": list(groups)}

    def _hang_up(self, identity):
        """End the session of a device that there is no more."""
        if identity in self.kdc.peers:
            self.kdc.peers[identity].close()
