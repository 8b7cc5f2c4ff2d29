# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A running group manager: the registry, the key distribution center (KDC) that serves its groups, and the requests of commands."""

import asyncio
import contextlib
import copy
import secrets

import dice
from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.errors import DiceError
from dice.limits import REPORT_MAX_S, TIMER_MS
from dice.transport.udp import Unicast
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control, old_registry, plan, presence, socket_buffer
from dicectl.manager.audit_requests import AuditRequests
from dicectl.manager.authorities import Authorities
from dicectl.manager.certificate_requests import CertificateRequests
from dicectl.manager.contact_requests import ContactRequests
from dicectl.manager.device_requests import DeviceRequests
from dicectl.manager.device_updates import DeviceUpdates
from dicectl.manager.device_updates_requests import DeviceUpdatesRequests
from dicectl.manager.election import lease
from dicectl.manager.election.fenced import Alone, FencedManager, FencedTransport
from dicectl.manager.exchanges import Exchanges
from dicectl.manager.group_changes import GroupChanges
from dicectl.manager.group_requests import GroupRequests
from dicectl.manager.news import News
from dicectl.manager.recall import Recall
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.retention import Retention
from dicectl.manager.rekey_timer import SLACK_S, RekeyTimer
from dicectl.reasons import SENTENCES, describe

SESSIONS_MAX = 1 << 17  # more than any registry has devices; the KDC keeps one session of each
HALF_OPEN_MAX = 256  # all devices of a building may power up at once
MESSAGES_MAX_BYTES = 16_384  # of a handshake: clients that offer DTLS 1.3 too have long hellos
_PROBE_S = 5.0  # how often the service tries to write after the registry has failed
_REPORT_S = "report_s"  # the setting of the registry
_REKEY_POLL_S = 1.0  # how often the service checks whether a re-key is due


def requests_of(service):
    """Return the objects that execute requests on a ManagerService: do_X() of one of them executes the request X."""
    groups = GroupRequests(service)
    devices = DeviceRequests(service, groups)
    requests = [groups, GroupChanges(service, groups), devices, ContactRequests(service, devices)]
    return [*requests, AuditRequests(service), CertificateRequests(service), DeviceUpdatesRequests(service)]


class ManagerService:
    """The service of `dicectl manager run`: start(), then do() answers the requests of the control socket, until close().

    `registry` is a registry.base.Registry. Commands find the control socket beside the path `control_path`. `leader` is a
    leader.Leader that leads, or None if no other manager can take over.
    `report_s`: the period in which devices report; None: that of the last start.
    """

    def __init__(self, registry, control_path, leader=None, report_s=None):
        self.registry = registry
        self.leader = leader or Alone()
        self._withheld = False  # whether keys wait until this process is sure to lead
        self.managers = {}  # group.manager.Manager by name
        self.kdc = Kdc(report_s or registry.setting(_REPORT_S) or REPORT_MAX_S, registry.device_of)
        self.updates = DeviceUpdates(self)
        self.recall = Recall(self)
        self.authorities = Authorities(self)
        self.alerts = None  # alerts.Alerts, or None
        self.old = {}  # by group: what members say that shows the registry to be old
        self.transport = self.contact_transport = None
        self._began_s = None
        self._news = News(self)
        self._control_path = control_path
        self.address = {}  # where devices find the service
        self.paces = {}  # pace_ms and expel_pace_ms of group.manager.Manager
        self.bind = None  # the address of this computer at which it serves them, or None: all
        self.rekey_s = {}
        self._timers = {}  # RekeyTimer by name
        self.rekey_errors = {}  # by name: what failed last, until a re-key in time succeeds
        self.requests = requests_of(self)
        self._probed_s = 0.0
        self._retention = Retention(self.registry)
        self._exchanges = Exchanges(self.registry, MESSAGES_MAX_BYTES)
        self._service = self._server = self._rekeying = self._serving = self._pulsing = self._updating = None
        self._recalling = self._revoking = None

    async def start(self, port, host, timer_ms=TIMER_MS, transport=None):
        """Serve devices on a UDP port, and commands on the control socket. The configuration of devices names `host`."""
        self.address = {"host": host, "port": port}
        self._began_s = asyncio.get_running_loop().time()
        self.registry.later = asyncio.get_running_loop().call_later
        self.registry.on_reload = self.reload
        self._retention.start(self.registry.later)
        if self.registry.setting(_REPORT_S) != self.kdc.presence.report_s:
            self.registry.store_setting(_REPORT_S, self.kdc.presence.report_s)
        for group in self.registry.states():
            self.manage(group.state, group.rekey_s)
        presence.restore(self.kdc, self.registry.sessions(), self.registry.now())
        old_registry.begin(self)
        self.recall.begin()
        self.transport = FencedTransport(transport or Unicast(None, port, self.bind), self.leader.may_send)
        options = {
            "sessions_max": SESSIONS_MAX,
            "half_open_max": HALF_OPEN_MAX,
            "cid_bytes": 4,
            "timer_ms": timer_ms,
            "transport": self.transport,
        }
        own_keys.private(self.registry)  # made if the registry is of an older program
        self._exchanges = Exchanges(self.registry, MESSAGES_MAX_BYTES)
        await self.authorities.begin()
        self._service = await dice.serve(port, self._exchanges.credentials, self.recall.serve, **options)
        self._service.listener.established = self.recall.hold
        self._serving = asyncio.create_task(self._service.wait_closed())
        self._server = await control.serve(self._control_path, self.do)
        self._rekeying = asyncio.create_task(self.rekey_when_due())
        self._pulsing = asyncio.create_task(self._pulse())
        self.updates.begin()
        self._updating = asyncio.create_task(self.updates.run())
        self._recalling = asyncio.create_task(self.recall.run())
        self._revoking = asyncio.create_task(self.authorities.run())

    async def _pulse(self):
        """Tell the leader that the event loop runs, and deliver what had to wait while it was not sure that it leads."""
        while True:
            self.leader.looped()
            if self._withheld and self.leader.may_distribute():
                self._withheld = False
                for name in self.managers:
                    self.kdc.changed(name)
                self.updates.changed()
            await asyncio.sleep(lease.LOOP_S)

    def may_distribute(self):
        """Return whether keys may be given out. Members that had to wait get them later."""
        may = self.leader.may_distribute()
        self._withheld = self._withheld or not may
        return may

    async def watch(self, seconds, ending=None):
        """Wait so many seconds, or until the future `ending` is done; raises CommandError as soon as a part of it has ended."""
        parts = {self._serving: "service of devices", self._rekeying: "re-key in time"}
        parts.update({self._pulsing: "pulse", self._updating: "delivery of keys to devices", self._recalling: "recall"})
        parts[self._revoking] = "look at authorities"
        tasks = [*parts, ending] if ending else parts
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        self.leader.raise_if_lost()
        for task in done - {ending}:
            error = None if task.cancelled() else task.exception()
            raise CommandError(f"the manager ends, because its {parts[task]} has ended: {describe(error)}", FAILED)
        if not self._server.is_serving():
            raise CommandError("the manager ends, because its control socket was closed", FAILED)

    def troubles(self):
        """Return {what: the last exception} of what failed, and was survived."""
        found = {"a look-up of a key": self._exchanges.error, "the service of a device": self._service and self._service.error}
        found["a key or the managers of a device"] = self.updates.error
        found["the list of managers"] = self.updates.problem
        found["the recall of devices"] = self.recall.error
        found["the look at authorities"] = self.authorities.error
        found["the watch over silent devices"] = self.kdc.error
        found.update({f"the keys of {name}": error for name, error in self.kdc.errors().items()})
        found.update({f"the re-key of {name}": error for name, error in self.rekey_errors.items()})
        return {what: error for what, error in found.items() if error}

    def refused(self):
        """Return how many handshakes found no place since the service has begun."""
        return self._service.listener.refused if self._service else 0

    def problems(self):
        """Return sentences about what is wrong now, for an operator; none if all is well."""
        found = [f"the re-key of {name} has failed: {describe(error)}" for name, error in self.rekey_errors.items()]
        found += old_registry.problems(self) + ([self.updates.problem.format_message()] if self.updates.problem else [])
        found += (self.alerts.problems() if self.alerts else []) + self.authorities.problems() + self._retention.problems()
        if self.registry.write_error and not self._is_writable():
            found.append(f"the registry cannot be written: {describe(self.registry.write_error)}")
        return found + socket_buffer.problems(getattr(self.transport, "socket", None), len(self.registry.devices()))

    def _is_writable(self):
        """Return whether the registry stores a change again; each few seconds one is tried that changes nothing."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._probed_s >= _PROBE_S:
            self._probed_s = now_s
            with contextlib.suppress(RegistryError), self.registry.transaction():
                for name in list(self.managers)[:1]:
                    self.registry.restamp(name, self.registry.since(name))
        return self.registry.write_error is None

    def news(self):
        """Return what has happened to devices and keys since the last call: events as those of news.News."""
        return self._news.take()

    def client(self, connection):
        """Return the dice.dtls.listener.ServerSession of a Connection."""
        return self._service.client(connection)

    def half_open(self):
        """Return how many handshakes are under way."""
        return len(self._service.listener.half_open)

    def uptime_s(self):
        """Return for how many s the service has run."""
        return 0 if self._began_s is None else int(asyncio.get_running_loop().time() - self._began_s)

    def close(self):
        """Stop serving. A service that is killed instead loses nothing.

        Devices get no close_notify: they keep their dead sessions, and the next start calls them back at once.
        """
        self.recall.close()
        self._retention.stop()
        self._rekeying.cancel()
        self._pulsing.cancel()
        self._updating.cancel()
        self._recalling.cancel()
        self._revoking.cancel()
        self.updates.close()
        self._serving.cancel()
        self._server.close()
        for client in self._service.listener.sessions:
            client.session.abandon()
        self._service.close()
        self.kdc.close()

    def do(self, request):
        """Execute the request of a command and return the answer, both plain values; raises CommandError."""
        self.leader.raise_if_lost()
        if not self.leader.may_send():
            raise CommandError("this manager was stopped, and asks its database whether it still leads: try again", FAILED)
        name = request.pop("do", None)
        if name not in plan.CHECKED and request.pop("dry_run", False):
            return plan.of(self, {"do": name, **request})
        action = next((getattr(requests, f"do_{name}") for requests in self.requests if hasattr(requests, f"do_{name}")), None)
        if action is None:
            raise CommandError(f"this manager does not know the request {name}: is it another version of dicectl?")
        try:
            return action(**request)
        except DiceError as error:
            raise CommandError(f"E{error.reason}: {SENTENCES[error.reason]}", FAILED)
        except RegistryError as error:
            raise CommandError(
                f"the registry cannot be written ({error}): look at its disk or its database, then at dicectl group show",
                FAILED,
            )
        except TypeError as error:
            raise CommandError(f"this manager does not understand the request {name}: is it another version of dicectl? ({error})")

    def manage(self, state, rekey_s):
        """Begin to manage a group."""
        self.managers[state.name] = manager = FencedManager(state, self.registry.commit, secrets.token_bytes, now(), **self.paces)
        manager.may_distribute = self.may_distribute
        self.rekey_s[state.name] = rekey_s
        self.kdc.add(manager)

    def shadow(self, kdc):
        """Return a copy without groups, without sockets, and with another Kdc, for plan.of()."""
        shadow = copy.copy(self)
        shadow.kdc = kdc
        shadow.managers = {}
        shadow.rekey_s, shadow.rekey_errors, shadow._timers = dict(self.rekey_s), dict(self.rekey_errors), {}
        shadow.updates = DeviceUpdates(shadow)
        shadow.requests = requests_of(shadow)
        shadow._service = None
        return shadow

    def unmanage(self, group):
        """End the management of a group."""
        self.kdc.remove(group)
        for table in (self.managers, self.rekey_s, self._timers, self.rekey_errors):
            table.pop(group, None)

    def reload(self):
        """Read the states of all groups from the registry, which has a change that was reported as failed."""
        stored = self.registry.states()
        for group in stored:
            if group.state.name in self.managers:
                self.managers[group.state.name].restore(group.state, now())
            else:
                self.manage(group.state, group.rekey_s)
        for name in self.managers.keys() - {group.state.name for group in stored}:
            self.unmanage(name)

    def manager(self, group):
        """Return the Manager of a group; raises CommandError if there is none."""
        manager = self.managers.get(group)
        if manager is None:
            known = ", ".join(self.managers) or "none yet: dicectl group new"
            raise CommandError(f"there is no group {group}; there are: {known}", USAGE)
        return manager

    def identity(self, name):
        """Return the identity of a device; raises CommandError if there is none."""
        identity = self.registry.identity(name)
        if identity is None:
            raise CommandError(f"there is no device {name}: dicectl provision new {name}", USAGE)
        return identity

    @contextlib.contextmanager
    def together(self):
        """Make all changes of the block one transaction, in the registry and in memory: if it fails, that is read anew.

        Copies of before are used only if the registry cannot be read either.
        """
        before = {name: manager.state.copy() for name, manager in self.managers.items()}
        try:
            with self.registry.together():
                yield
        except BaseException:
            with contextlib.suppress(Exception):
                before.update({group.state.name: group.state for group in self.registry.states()})
            for name, manager in self.managers.items():
                manager.restore(before[name], now())
            raise

    async def rekey_when_due(self):
        """Re-key each group whose period has passed; never returns. A re-key that fails stays due, and show tells why."""
        while True:
            await asyncio.sleep(_REKEY_POLL_S)
            old_registry.look(self)
            for name in list(self.managers):
                try:
                    if self._is_due(name):
                        self.managers[name].rekey(now())
                        self.kdc.changed(name)
                        self.rekey_errors.pop(name, None)
                except Exception as error:
                    self.rekey_errors[name] = error

    def _is_due(self, name):
        """Return whether a group is due for a re-key."""
        epoch, period = self.managers[name].state.epoch, self.rekey_s[name]
        if not period or not epoch:
            return False
        clock_s = asyncio.get_running_loop().time()
        timer = self._timers.setdefault(name, RekeyTimer())
        try:
            wall_age_s = self.registry.now() - self.registry.since(name)
        except Exception as error:
            if timer.age_s(epoch, clock_s, None) < period:
                raise  # so that show tells it
            self.rekey_errors[name] = error
            return True
        age_s = timer.age_s(epoch, clock_s, wall_age_s)
        if wall_age_s < age_s - SLACK_S < period:  # the clock was set back: correct what the next start of the manager reads
            self.registry.restamp(name, self.registry.now() - age_s)
        return age_s >= period

    def groups_of(self, identity):
        """Return {group: role} of a device."""
        members = {name: manager.state.members.get(identity) for name, manager in self.managers.items()}
        return {name: member.role for name, member in members.items() if member}

    def disconnect(self, identity, session_identities):
        """Close the sessions of a device that was deleted, also one that the KDC does not serve yet.

        `session_identities` are those that registry.Registry.session_identities() returned before.
        """
        self.check_credentials(session_identities)
        self.kdc.forget(identity)
        self.updates.forget(identity)

    def check_credentials(self, session_identities):
        """Close those sessions of these identities whose key was deleted or replaced."""
        if self._service:
            for session_identity in session_identities:
                self._service.listener.check_credentials(session_identity)
