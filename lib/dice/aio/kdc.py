# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key distribution center: the service of group managers, as CoAP resources over DTLS sessions, after RFC 9594.

kdc = Kdc()
kdc.add(Manager(...))
await dice.serve(5684, PskLookup(find), kdc.serve)

docs/protocol.md, section 15, has the resources. A member keeps its session open, so that it can be reached; a member that sleeps
fetches its GSA when it wakes up.
"""

import asyncio

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..coap.codes import BAD_REQUEST, CHANGED, CONFLICT, CONTENT, CREATED, FORBIDDEN, GET, POST, PUT, SERVICE_UNAVAILABLE, URI_PATH
from ..coap.resource import Router
from ..codes import REPORT_CONFLICT
from ..errors import DiceError, FormatError, UsageError
from ..group.gsa_encode import encode
from ..group.presence import ASLEEP, RETURNING, SILENT, Presence
from ..limits import (
    DELIVERY_PACE_MS,
    DELIVERY_RETRY_MS,
    KDC_REQUESTS_MAX,
    KDC_REQUESTS_PERIOD_MS,
    REPORT_MAX_S,
    REPORT_PERIOD_MAX_S,
    REPORT_PERIOD_MIN_S,
)
from ..reasons import E_OPTION
from ..wire import Reader
from .coap import Coap
from .wait import now, repeat

_TOO_MANY = const(0x9D)  # 4.29 (RFC 8516)
_REPORT_BYTES = const(19)
_NO_BACK_BYTES = const(15)  # without `back_s`
_NO_FORGED_BYTES = const(11)  # without `forged`, too
_WATCH_S = const(5)  # between two looks at who is silent
_CLASH_FLAG = const(1)
_ENTERED_FLAG = const(2)

if TYPING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Any

    from ..coap.message import Message
    from ..group.manager import Manager
    from ..types import Response
    from .session import Connection


class Kdc:
    """Serves the members of groups, and delivers keys to them.

    * `connected`: {identity: Coap} of all devices that have a session; `presence`: the dice.group.presence.Presence of all devices.
    * `overrun` and `error`: how many exceptions the watch over silent devices has survived, and the last one.

    Call changed() after each add(), remove(), replace() or rekey() of a Manager, and forget() with a device that is deleted.
    """

    def __init__(self, report_s: int = REPORT_MAX_S, device: "Callable[[bytes], bytes]" = bytes) -> None:
        """Serve no group yet.

        * `report_s`: the period in s, 10 to 3,600, in which devices report; one that does not is silent.
        * `device(identity)` returns the identity of the device to which that of a session belongs; by default they are the same.
        """
        if not REPORT_PERIOD_MIN_S <= report_s <= REPORT_PERIOD_MAX_S:
            raise UsageError(E_OPTION)
        self.connected: dict[bytes, Coap] = {}
        self.presence = Presence(report_s)
        self.overrun = 0
        self.error: Exception | None = None
        self._device = device
        self._watching: Any = None
        self._deliveries: dict[str, _KeyDelivery] = {}  # by the name of the group
        self._router = Router({})
        self._requests: dict[bytes, int] = {}  # by identity, in this period
        self._period_end = 0

    def add(self, manager: "Manager") -> None:
        """Serve one more group, that of a dice.group.manager.Manager."""
        manager.connected = self.connected
        for identity, member in manager.state.members.items():
            if member.held:
                self.presence.expected(identity, now())
        delivery = _KeyDelivery(manager, self.connected, self)
        self._deliveries[manager.state.name] = delivery
        self._router.routes.update(delivery.routes)
        if self._watching is None:
            self._watching = asyncio.create_task(repeat(self, self._watch))

    def remove(self, name: str) -> None:
        """Serve a group no longer. Its members stay connected."""
        delivery = self._deliveries.pop(name)
        delivery.close()
        for path in delivery.routes:
            del self._router.routes[path]

    async def serve(self, connection: "Connection") -> None:
        """Serve one client until its session ends: a handler for dice.serve. A new session replaces one of the same identity."""
        identity = self._device(connection.session.identity)
        if identity in self.connected:
            self.connected[identity].close()
        session = Coap(connection, lambda request, _: self._answer(request, identity))
        for delivery in self._deliveries.values():
            delivery.reconnected(identity)
        self.connected[identity] = session
        self.presence.connected(identity, now())
        try:
            await session.closed()
        except DiceError:
            pass
        finally:
            if self.connected.get(identity) is session:
                del self.connected[identity]
                self.presence.ended(identity, now())
                self._changed()

    def forget(self, identity: bytes) -> None:
        """Close the session of a device that is deleted, and forget it."""
        if identity in self.connected:
            self.connected.pop(identity).close()
        self.presence.forget(identity)

    async def _watch(self) -> None:
        """Close the sessions of devices that have missed a report: they have none any more."""
        for identity in self.presence.timeout(now()):
            if identity in self.connected:
                self.connected.pop(identity).close()
        self._changed()
        await asyncio.sleep(_WATCH_S)

    def _changed(self) -> None:
        """Epochs wait for nobody who is away."""
        for delivery in self._deliveries.values():
            if not delivery.is_active():
                delivery.changed.set()

    def _answer(self, request: "Message", identity: bytes) -> "Response | None":
        """Answer a request of a client, unless it has sent too many: whatever it asks for, others are served too."""
        self.presence.heard(identity, now())
        if not 0 < ticks_diff(self._period_end, now()) <= KDC_REQUESTS_PERIOD_MS:
            self._period_end = ticks_add(now(), KDC_REQUESTS_PERIOD_MS)
            self._requests = {}
        count = self._requests.get(identity, 0)
        if count >= KDC_REQUESTS_MAX:
            return _TOO_MANY, b""
        self._requests[identity] = count + 1
        router = self._router
        if [1 for number, value in request.options if number == URI_PATH and value.startswith(b".well-known")]:
            # A member sees its groups, and no other.
            own = [delivery.routes for delivery in self._deliveries.values() if delivery.admits(identity)]
            router = Router({path: methods for routes in own for path, methods in routes.items()})
        return router(request, identity)

    def changed(self, name: str) -> None:
        """Deliver the changes of a group to its members."""
        self._deliveries[name].changed.set()

    def settled(self, name: str) -> bool:
        """Return whether all members of a group have entered the current epoch."""
        return self._deliveries[name].settled()

    def not_activated(self, name: str) -> "list[bytes]":
        """Return the identities of members that are connected, and have not yet entered the current epoch."""
        return [identity for identity in self._deliveries[name].not_activated() if identity in self.connected]

    def awaited(self, name: str) -> "list[bytes]":
        """Return the identities of members that are awake, and not known to have entered the current epoch."""
        return [identity for identity in self._deliveries[name].not_activated() if self.is_awake(identity)]

    def is_awake(self, identity: bytes) -> bool:
        """Return whether a device is awake: connected, or returning after a start of the manager, and not silent."""
        state = self.presence.state(identity)
        return state == RETURNING or (identity in self.connected and state not in (SILENT, ASLEEP))

    def errors(self) -> "dict[str, Exception]":
        """Return {name of a group: the last exception of storing its state}."""
        return {name: delivery.error for name, delivery in self._deliveries.items() if delivery.error}

    def close(self) -> None:
        """Stop all deliveries; sessions stay open."""
        if self._watching:
            self._watching.cancel()
        for delivery in self._deliveries.values():
            delivery.close()


class _KeyDelivery:
    """The resources of one group, and the deliveries to its members, several at a time: a silent member delays no other."""

    def __init__(self, manager: "Manager", connected: "dict[bytes, Coap]", kdc: Kdc) -> None:
        self.changed = asyncio.Event()
        self.error: Exception | None = None  # the last one, such as of storing the state
        self.overrun = 0  # how many there were
        self._manager = manager
        self._connected = connected
        self._kdc = kdc
        self._presence = kdc.presence
        self._pushes: dict[bytes, asyncio.Task[None]] = {}  # by identity
        self._epochs: dict[bytes, int] = {}  # of the last push, by identity
        path = "ace-group/" + manager.state.name
        self._target = "gsa/" + manager.state.name
        self.routes: Any = {path: {POST: self._join}, path + "/num": {GET: self._number}, path + "/node": {POST: self._report}}
        self._task = asyncio.create_task(repeat(self, self._step))

    def settled(self) -> bool:
        return not self._manager.undelivered and not self._manager.not_activated

    def not_activated(self) -> "list[bytes]":
        return self._manager.not_activated

    def is_active(self) -> bool:
        return self._manager.state.active

    def close(self) -> None:
        self._task.cancel()
        for task in list(self._pushes.values()):
            task.cancel()

    def reconnected(self, identity: bytes) -> None:
        self._manager.reconnected(identity)
        self.changed.set()

    def admits(self, identity: bytes) -> bool:
        return identity in self._manager.state.members

    def _join(self, request: "Message", identity: bytes) -> "Response":
        if self._manager.pending(identity):
            return SERVICE_UNAVAILABLE, b""
        body = self._body(identity)
        return (FORBIDDEN, b"") if body is None else (CREATED, body)

    def _body(self, identity: bytes) -> "bytes | None":
        """Return struct { uint8 grace_s; uint8 active; GSA gsa; } for a member, or None for others."""
        gsa = self._manager.fetch(identity, now())
        if gsa is None:
            return None
        self.changed.set()  # an epoch may have begun
        return bytes((self._manager.grace_s(identity), self._manager.state.active)) + bytes(encode(gsa))

    def _number(self, request: "Message", identity: bytes) -> "Response":
        if not self.admits(identity):
            return FORBIDDEN, b""
        return CONTENT, self._manager.state.epoch.to_bytes(2, "big")

    def _report(self, request: "Message", identity: bytes) -> "Response":
        """Handle a report; the response is the current epoch, so that a member sees that it has missed one.

        A report with `back_s` is answered with struct { uint16 epoch; uint16 report_s; }.
        """
        if not self.admits(identity):
            return FORBIDDEN, b""
        report = bytes(request.payload)
        try:
            self._reported(identity, report[:_NO_BACK_BYTES] if len(report) == _REPORT_BYTES else report)
        except FormatError:
            return BAD_REQUEST, b""
        self.changed.set()
        answer = self._manager.state.epoch.to_bytes(2, "big")
        if len(report) == _REPORT_BYTES:
            self._presence.reported(identity, int.from_bytes(report[_NO_BACK_BYTES:], "big"), now())
            answer += self._presence.report_s.to_bytes(2, "big")
        return CHANGED, answer

    def _reported(self, identity: bytes, report: bytes, refused: int = -1) -> int:
        """Handle struct { uint16 epoch; uint64 next; uint8 flags; uint32 forged; }; return the epoch that it acknowledges, or 0.

        It is what a member has installed, how far it has sent, and how many records of the epoch did not verify. Flags: 1 clash, 2
        the epoch is entered, 4 the member has another key of it, as if it has `refused` that epoch. Raises FormatError.
        """
        reader = Reader(report)
        epoch, sent, flags = reader.uint(2), reader.uint(8), reader.uint(1)
        forged = reader.uint(4) if len(report) > _NO_FORGED_BYTES else 0
        reader.end()
        clash, entered, conflict = [bool(flags & flag) for flag in (_CLASH_FLAG, _ENTERED_FLAG, REPORT_CONFLICT)]
        conflict = conflict or epoch == refused
        self._manager.report(identity, epoch, sent, clash, now(), forged, entered, conflict)
        return 0 if conflict else epoch

    async def _step(self) -> None:
        """Start what is to be delivered, and wait for a change or a deadline."""
        self.changed.clear()
        try:
            self._manager.timeout(now())
            self._manager.settle(self._kdc.is_awake)
        except Exception as error:  # the state cannot be stored: nothing has changed, and it is still due
            self.error = error
            await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
            return
        undelivered = self._manager.undelivered
        await self._start(undelivered, self._push_gsa)
        if self._manager.state.active:
            await self._start([identity for identity in self.not_activated() if identity not in undelivered], self._activate)
        due = self._manager.deadline()
        try:
            await asyncio.wait_for(self.changed.wait(), None if due is None else max(0, ticks_diff(due, now())) / 1000)
        except asyncio.TimeoutError:
            pass

    async def _start(self, identities: "Iterable[bytes]", push: "Callable[[bytes], Awaitable[bool]]") -> None:
        """Start a push to each device that is connected and has none. One of an older epoch is replaced."""
        for identity in identities:
            if self._epochs.get(identity) != self._manager.state.epoch and identity in self._pushes:
                self._pushes.pop(identity).cancel()
            if identity in self._connected and identity not in self._pushes and not self._manager.pending(identity):
                self._epochs[identity] = self._manager.state.epoch
                self._pushes[identity] = asyncio.create_task(self._push(identity, push))
                await asyncio.sleep(DELIVERY_PACE_MS / 1000)

    async def _push(self, identity: bytes, push: "Callable[[bytes], Awaitable[bool]]") -> None:
        try:
            delivered = await push(identity)
        except Exception as error:  # an acknowledgement that cannot be stored
            self.error = error
            delivered = False
        if not delivered:
            await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
        del self._pushes[identity]
        self.changed.set()

    async def _push_gsa(self, identity: bytes) -> bool:
        """Deliver its GSA to a member; return whether it was acknowledged."""
        body = self._body(identity)
        epoch = self._manager.state.epoch
        if body is None or not await self._request(identity, epoch, PUT, self._target, body):
            return False
        self._manager.acknowledge(identity, epoch, now())
        return True

    async def _activate(self, identity: bytes) -> bool:
        """Request a member to enter the current epoch; return whether it did."""
        epoch = self._manager.state.epoch
        if not await self._request(identity, epoch, POST, self._target + "/activate", epoch.to_bytes(2, "big")):
            return False
        self._manager.entered(identity, epoch)
        return True

    async def _request(self, identity: bytes, epoch: int, code: int, path: str, payload: bytes) -> bool:
        """Send a request to a member; return whether the response is 2.04, with a report of `epoch` if it has one."""
        session = self._connected.get(identity)
        if session is None:
            return False
        self._presence.asked(identity, now())
        try:
            response = await session.request(code, path, payload)
            if response is None:
                if self._connected.get(identity) is session:
                    self._presence.unanswered(identity, now())
                return False
            self._presence.heard(identity, now())
            if response.code not in (CHANGED, CONFLICT):
                return False
            report = getattr(response, "payload", b"")
            refused = epoch if response.code == CONFLICT else -1
            acknowledged = self._reported(identity, report, refused) if report else epoch
            return response.code == CHANGED and acknowledged == epoch
        except (DiceError, OSError):
            return False
