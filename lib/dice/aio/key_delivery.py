# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The deliveries of keys to the members of one group; only dice.aio.kdc imports it. docs/protocol.md, sections 14 and 15.

A queue has the members that may be due, so that an event costs the same with any number of members. All members are put into it
when an epoch begins or becomes active, and a single one when it connects, reports, or its push is over. A push that is under way is
no reason to wait: the next one starts after the pace, which is that of dice.group.manager.Manager.
"""

import asyncio

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..coap.codes import BAD_REQUEST, CHANGED, CONFLICT, CONTENT, CREATED, FORBIDDEN, GET, POST, PUT, SERVICE_UNAVAILABLE
from ..codes import REPORT_CONFLICT
from ..errors import FormatError
from ..group.gsa_encode import encode
from ..limits import DELIVERY_BURST_MS, DELIVERY_RETRY_MS
from ..wire import Reader
from .wait import now, repeat, wait

_REPORT_BYTES = const(19)
_NO_BACK_BYTES = const(15)  # without `back_s`
_NO_FORGED_BYTES = const(11)  # without `forged`, too
_CLASH_FLAG = const(1)
_ENTERED_FLAG = const(2)

if TYPING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..coap.message import Message
    from ..group.manager import Manager
    from ..types import Response
    from .coap import Coap


class KeyDelivery:
    """The resources of one group, and the deliveries to its members, several at a time: a silent member delays no other."""

    def __init__(self, manager: "Manager", connected: "dict[bytes, Coap]", kdc: "Any") -> None:
        self.changed = asyncio.Event()
        self.error: Exception | None = None  # the last one, such as of storing the state
        self.overrun = 0  # how many there were
        self._manager = manager
        self._connected = connected
        self._kdc = kdc
        self._presence = kdc.presence
        self._pushes: dict[bytes, asyncio.Task[None]] = {}  # by identity
        self._epochs: dict[bytes, int] = {}  # of the last push, by identity
        self._queue: list[bytes] = []  # who may be due, the first one last
        self._waiting: dict[bytes, bool] = {}  # who is due when senders have reported
        self._collected: Any = None  # the epoch of the queue, and whether it was active
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
        self._look_at(identity)

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
        self._look_at(identity)
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
        manager = self._manager
        due = now()  # when the next push may start
        while True:
            self.changed.clear()
            try:
                manager.timeout(now())
                manager.settle(self._kdc.is_awake)
            except Exception as error:  # the state cannot be stored: nothing has changed, and it is still due
                self.error = error
                await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
                return
            self._collect()
            if not self._start():
                break
            due = ticks_add(due, manager.pace_ms())
            if ticks_diff(now(), due) > DELIVERY_BURST_MS:
                due = ticks_add(now(), -DELIVERY_BURST_MS)
            await asyncio.sleep(max(0, ticks_diff(due, now())) / 1000)
        await wait(self.changed, manager.deadline())

    def _collect(self) -> None:
        """Put into the queue who may have become due: all of an epoch that has begun or is in use now, and members that waited."""
        manager = self._manager
        if self._collected != (manager.state.epoch, manager.state.active):
            self._collected = manager.state.epoch, manager.state.active
            self._queue = manager.undelivered
            if manager.state.active:
                self._queue += manager.not_activated
            self._queue.reverse()
            self._waiting = {}
            self._epochs = {identity: self._epochs[identity] for identity in self._pushes}
        self._queue += manager.added
        manager.added = []
        unreported = manager.unreported() if self._waiting else []
        if not unreported:
            self._queue += list(self._waiting)[::-1]
            self._waiting = {}
        elif len(unreported) == 1 and unreported[0] in self._waiting:  # who does not wait for itself
            del self._waiting[unreported[0]]
            self._queue += unreported

    def _start(self) -> bool:
        """Start a push to the first device of the queue that is connected and has none; return whether there was one.

        A push of an older epoch is replaced.
        """
        manager = self._manager
        while self._queue:
            identity = self._queue.pop()
            progress = manager.progress
            lacks_gsa = identity in progress.undelivered
            if identity not in self._connected or not (lacks_gsa or progress.lacks_activation(manager.state, identity)):
                continue
            if identity in self._pushes:
                if self._epochs[identity] == manager.state.epoch:
                    continue  # its end puts it into the queue again
                self._pushes.pop(identity).cancel()
            if manager.pending(identity):
                self._waiting[identity] = True
                continue
            self._epochs[identity] = manager.state.epoch
            self._pushes[identity] = asyncio.create_task(self._push(identity, self._push_gsa if lacks_gsa else self._activate))
            return True
        return False

    async def _push(self, identity: bytes, push: "Callable[[bytes], Awaitable[bool]]") -> None:
        try:
            delivered = await push(identity)
        except Exception as error:  # an acknowledgement that cannot be stored
            self.error = error
            delivered = False
        if not delivered:
            await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
        self.pushed(identity)

    def pushed(self, identity: bytes) -> None:
        """Note that the push to a device is over."""
        del self._pushes[identity]
        self._look_at(identity)

    def _look_at(self, identity: bytes) -> None:
        self._queue.append(identity)
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
        response = await self._kdc.request(identity, code, path, payload)
        if response is None or response.code not in (CHANGED, CONFLICT):
            return False
        report = getattr(response, "payload", b"")
        refused = epoch if response.code == CONFLICT else -1
        try:
            acknowledged = self._reported(identity, report, refused) if report else epoch
        except FormatError:
            return False
        return response.code == CHANGED and acknowledged == epoch
