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
from ..coap.codes import URI_PATH
from ..coap.resource import Router
from ..errors import DiceError, UsageError
from ..group.presence import ASLEEP, RETURNING, SILENT, Presence
from ..limits import (
    KDC_REQUESTS_MAX,
    KDC_REQUESTS_PERIOD_MS,
    REPORT_MAX_S,
    REPORT_PERIOD_MAX_S,
    REPORT_PERIOD_MIN_S,
)
from ..reasons import E_OPTION
from .coap import Coap
from .key_delivery import KeyDelivery
from .wait import now, repeat

_TOO_MANY = const(0x9D)  # 4.29 (RFC 8516)
_WATCH_S = const(5)  # between two looks at who is silent
_STALL_S = const(10)  # later than that: this process was stopped meanwhile

if TYPING:
    from collections.abc import Callable
    from typing import Any

    from ..coap.message import Message
    from ..group.manager import Manager
    from ..types import Response
    from .session import Connection


class Kdc:
    """Serves the members of groups, and delivers keys to them.

    * `connected`: {identity: Coap} of all devices that have a session; `arriving`: those with a new one that serve() does not know
      yet, which is why they are not away; `presence`: the dice.group.presence.Presence of all devices.
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
        self.arriving: set[bytes] = set()
        self.presence = Presence(report_s)
        self.overrun = 0
        self.error: Exception | None = None
        self._device = device
        self._watching: Any = None
        self._watched = 0  # when, in ticks
        self._deliveries: dict[str, KeyDelivery] = {}  # by the name of the group
        self._router = Router({})
        self._requests: dict[bytes, int] = {}  # by identity, in this period
        self._period_end = 0

    def add(self, manager: "Manager") -> None:
        """Serve one more group, that of a dice.group.manager.Manager."""
        manager.connected = self.connected
        for identity, member in manager.state.members.items():
            if member.held:
                self.presence.expected(identity, now())
        delivery = KeyDelivery(manager, self.connected, self)
        self._deliveries[manager.state.name] = delivery
        self._router.routes.update(delivery.routes)
        self._begin()

    def remove(self, name: str) -> None:
        """Serve a group no longer. Its members stay connected."""
        delivery = self._deliveries.pop(name)
        delivery.close()
        for path in delivery.routes:
            del self._router.routes[path]

    async def serve(self, connection: "Connection") -> None:
        """Serve one client until its session ends: a handler for dice.serve. A new session replaces one of the same identity."""
        self._begin()
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
                if identity not in self.arriving:
                    self.presence.ended(identity, now())
                    self._changed()

    def forget(self, identity: bytes) -> None:
        """Close the session of a device that is deleted, and forget it."""
        if identity in self.connected:
            self.connected.pop(identity).close()
        self.presence.forget(identity)

    async def request(self, identity: bytes, code: int, path: str, payload: bytes) -> "Message | None":
        """Send a request to a device that is connected, and return the response; None if it has no session, or does not answer.

        A device that does not answer is silent until something arrives from it. Its session stays open.
        """
        session = self.connected.get(identity)
        if session is None:
            return None
        self.presence.asked(identity, now())
        try:
            response = await session.request(code, path, payload)
        except (DiceError, OSError):
            return None
        if response is not None:
            self.presence.heard(identity, now())
        elif self.connected.get(identity) is session:
            self.presence.unanswered(identity, now())
        return response

    def _begin(self) -> None:
        """Watch over silent devices from now on."""
        if self._watching is None:
            self._watched = now()
            self._watching = asyncio.create_task(repeat(self, self._watch))

    async def _watch(self) -> None:
        """Close the sessions of devices that have missed a report: they have none any more."""
        late_ms = ticks_diff(now(), self._watched) - 1000 * _WATCH_S
        if late_ms > 1000 * _STALL_S:
            self.presence.excuse(late_ms)
        for identity in self.presence.timeout(now()):
            if identity in self.connected:
                self.connected.pop(identity).close()
        self._changed()
        self._watched = now()
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
        is_here = identity in self.connected or identity in self.arriving
        return state == RETURNING or (is_here and state not in (SILENT, ASLEEP))

    def errors(self) -> "dict[str, Exception]":
        """Return {name of a group: the last exception of storing its state}."""
        return {name: delivery.error for name, delivery in self._deliveries.items() if delivery.error}

    def close(self) -> None:
        """Stop all deliveries; sessions stay open."""
        if self._watching:
            self._watching.cancel()
        for delivery in self._deliveries.values():
            delivery.close()
