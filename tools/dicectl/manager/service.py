# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A running group manager: the registry, the key distribution center (KDC) that serves its groups, and the requests of commands."""

import asyncio
import contextlib
import re
import secrets

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.group.gsa import D00, K08
from dice.group.manager import ANSWERING, LISTENER, SENDER, GroupState, Manager
from dice.limits import TIMER_MS
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control, group_file
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.rekey_timer import SLACK_S, RekeyTimer
from dicectl.net import address as multicast
from dicectl.reasons import SENTENCES

ROLES = (SENDER, ANSWERING, LISTENER)
LAYOUTS = {"k08": K08, "d00": D00}
SESSIONS_MAX = 4096
HALF_OPEN_MAX = 64
MESSAGES_MAX_BYTES = 16_384  # of a handshake: clients that offer DTLS 1.3 too have long hellos
_REKEY_POLL_S = 1.0  # how often the service checks whether a re-key is due
_NAME = re.compile(r"[\w.-]{1,64}")


def _text(error):
    """Return an exception as a text."""
    return (
        f"E{error.reason}: {SENTENCES[error.reason]}"
        if isinstance(error, DiceError)
        else str(error) or repr(error)
        if error
        else ""
    )


class ManagerService:
    """The service of `dicectl manager run`: start(), then do() answers the requests of the control socket, until close().

    `registry` is a registry.base.Registry. Commands find the control socket beside the path `control_path`.
    """

    def __init__(self, registry, control_path):
        self.registry = registry
        self.managers = {}  # group.manager.Manager by name
        self.kdc = Kdc()
        self._control_path = control_path
        self._address = {}  # where devices find the service
        self._rekey_s = {}
        self._timers = {}  # RekeyTimer by name
        self._rekey_errors = {}  # by name: what failed last, until a re-key in time succeeds
        self._lookup = PskLookup(self.registry.find)
        self._lookup.bytes_max = MESSAGES_MAX_BYTES
        self._service = self._server = self._rekeying = self._serving = None

    async def start(self, port, host, timer_ms=TIMER_MS, transport=None):
        """Serve devices on a UDP port, and commands on the control socket. The configuration of devices names `host`."""
        self._address = {"host": host, "port": port}
        for group in self.registry.states():
            self._manage(group.state, group.rekey_s)
        options = {
            "sessions_max": SESSIONS_MAX,
            "half_open_max": HALF_OPEN_MAX,
            "cid_bytes": 4,
            "timer_ms": timer_ms,
            "transport": transport,
        }
        self._service = await dice.serve(port, self._lookup, self.kdc.serve, **options)
        self._serving = asyncio.create_task(self._service.wait_closed())
        self._server = await control.serve(self._control_path, self.do)
        self._rekeying = asyncio.create_task(self.rekey_when_due())

    async def watch(self, seconds):
        """Wait so many seconds; raises CommandError as soon as a part of the service has ended."""
        parts = {self._serving: "service of devices", self._rekeying: "re-key in time"}
        done, _ = await asyncio.wait(parts, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            error = None if task.cancelled() else task.exception()
            raise CommandError(f"the manager ends, because its {parts[task]} has ended: {_text(error)}", FAILED)
        if not self._server.is_serving():
            raise CommandError("the manager ends, because its control socket was closed", FAILED)

    def troubles(self):
        """Return {what: the last exception} of what failed, and was survived."""
        found = {"a look-up of a key": self._lookup.error, "the service of a device": self._service and self._service.error}
        found.update({f"the keys of {name}": error for name, error in self.kdc.errors().items()})
        found.update({f"the re-key of {name}": error for name, error in self._rekey_errors.items()})
        return {what: error for what, error in found.items() if error}

    def close(self):
        """Stop serving. A service that is killed instead loses nothing."""
        self._rekeying.cancel()
        self._serving.cancel()
        self._server.close()
        self._service.close()
        self.kdc.close()

    def do(self, request):
        """Execute the request of a command and return the answer, both plain values; raises CommandError."""
        name = request.pop("do", None)
        action = getattr(self, f"_do_{name}", None)
        if action is None:
            raise CommandError(f"this manager does not know the request {name}: is it another version of dicectl?")
        try:
            return action(**request)
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        except RegistryError as error:
            raise CommandError(
                f"the registry cannot be written ({error}): free space on its disk, and look at dicectl group show", FAILED
            )
        except TypeError as error:
            raise CommandError(f"this manager does not understand the request {name}: is it another version of dicectl? ({error})")

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
        """Make all changes of the block one transaction, in the registry and in memory."""
        before = {name: manager.state for name, manager in self.managers.items()}
        try:
            with self.registry.together():
                yield
        except BaseException:
            for name, state in before.items():
                self.managers[name].restore(state, now())
            raise

    async def rekey_when_due(self):
        """Re-key each group whose period has passed; never returns. A re-key that fails stays due, and show tells why."""
        while True:
            await asyncio.sleep(_REKEY_POLL_S)
            for name in list(self.managers):
                try:
                    if self._is_due(name):
                        self.managers[name].rekey(now())
                        self.kdc.changed(name)
                        self._rekey_errors.pop(name, None)
                except Exception as error:
                    self._rekey_errors[name] = error

    def _is_due(self, name):
        """Return whether a group is due for a re-key."""
        epoch, period = self.managers[name].state.epoch, self._rekey_s[name]
        if not period or not epoch:
            return False
        clock_s = asyncio.get_running_loop().time()
        timer = self._timers.setdefault(name, RekeyTimer())
        try:
            wall_age_s = self.registry.now() - self.registry.since(name)
        except Exception as error:
            if timer.age_s(epoch, clock_s, None) < period:
                raise  # so that show tells it
            self._rekey_errors[name] = error
            return True
        age_s = timer.age_s(epoch, clock_s, wall_age_s)
        if wall_age_s < age_s - SLACK_S < period:  # the clock was set back: correct what the next start of the manager reads
            self.registry.restamp(name, self.registry.now() - age_s)
        return age_s >= period

    # The requests of commands.

    def _do_groups(self):
        return [self._do_show(name) for name in self.managers]

    def _do_show(self, group):
        state = self._manager(group).state
        missing = self._manager(group).undelivered
        return {
            "name": state.name,
            "gid": state.gid.hex(),
            "address": multicast.text_of(state.address),
            "port": state.port,
            "epoch": state.epoch,
            "active": state.active,
            "settled": self.kdc.settled(group),
            "since": self.registry.since(group),
            "rekey_s": self._rekey_s[group],
            "lifetime_s": state.lifetime_s,
            "members": len(state.members),
            "senders": sum(member.role == SENDER for member in state.members.values()),
            "error": _text(self._rekey_errors.get(group) or self.kdc.errors().get(group, "")),
            "missing": [self.registry.name(identity) for identity in missing],
            "untold": [self.registry.name(identity) for identity in self.kdc.not_activated(group)],
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
                "connected": identity in self.kdc.connected,
            }
            for identity, member in state.members.items()
        ]

    def _do_new(self, group, address=None, port=None, layout="k08", lifetime_s=0, rekey_s=0):
        if not _NAME.fullmatch(group) or group in self.managers:
            raise CommandError(
                f"{group} cannot be the name of a new group: it is taken, or not 1 to 64 letters, digits, . _ -", USAGE
            )
        drawn = group_file.new(group, address, port)  # draws the address and the port that are not given
        packed = multicast.packed(drawn["address"])
        if any(manager.state.port == drawn["port"] for manager in self.managers.values()):
            raise CommandError(f"another group has port {drawn['port']}: each group needs its own", USAGE)
        state = GroupState(group, secrets.token_bytes(4), packed, drawn["port"], LAYOUTS[layout], lifetime_s)
        rekey_s = rekey_s or lifetime_s // 2
        self.registry.create(state, rekey_s)
        self._manage(state, rekey_s)
        return self._do_show(group)

    def _do_add(self, group, devices, role):
        manager = self._manager(group)
        identities = [self._identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity in manager.state.members:
                raise CommandError(f"{name} is already a member of {group}", USAGE)
        manager.add(identities, role, now())
        self.kdc.changed(group)
        return self._do_show(group)

    def _do_remove(self, group, devices):
        manager = self._manager(group)
        identities = [self._identity(name) for name in devices]
        for name, identity in zip(devices, identities):
            if identity not in manager.state.members:
                raise CommandError(f"{name} is not a member of {group}", USAGE)
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
        connected = self.kdc.connected
        return [
            {"name": name, "identity": i.decode(), "groups": self._groups_of(i), "connected": i in connected} for name, i in devices
        ]

    def _do_provision(self, name, groups):
        """Create a device that is a member of `groups`, {name: role}; return its configuration."""
        if not _NAME.fullmatch(name):
            raise CommandError(f"{name!r} cannot be the name of a device: use 1 to 64 letters, digits, . _ -", USAGE)
        for group, role in groups.items():
            self._manager(group)
            if role not in ROLES:
                raise CommandError(f"{role} is not a role: choose one of {', '.join(ROLES)}", USAGE)
        with self._together():
            identity, key = self.registry.enrol(name)
            for group, role in groups.items():
                self._do_add(group, [name], role)
        return self._settings(name, identity, key, groups)

    def _settings(self, name, identity, key, groups):
        """Return the configuration of a device, for its node.json."""
        return {"name": name, "identity": identity.decode(), "key": key.hex(), "manager": self._address, "groups": list(groups)}

    def _do_replace(self, name):
        """Create a device that takes the place of another one, which is expelled; return the configuration of the new one."""
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
        self._disconnect(old)
        return self._settings(name, identity, key, groups)

    def _do_wipe(self, name):
        """Expel a device from its groups and delete it."""
        identity = self._identity(name)
        groups = self._groups_of(identity)
        with self._together():
            for group in groups:
                self._do_remove(group, [name])
            self.registry.wipe(name)
        self._disconnect(identity)
        return {"name": name, "groups": list(groups)}

    def _disconnect(self, identity):
        """Close the session of a device that was deleted, also one that the KDC does not serve yet."""
        if self._service:
            self._service.listener.check_credentials()
        if identity in self.kdc.connected:
            self.kdc.connected[identity].close()
