# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A group whose keys come from a group manager: the member's side of dice.aio.kdc (docs/protocol.md, section 15).

managed = ManagedGroup("lamps", "lamps.gsa")
manager = Coap(await dice.connect(...), Router(managed.routes))
group = await managed.join(manager)

await managed.stay(manager)

The next epoch arrives over the session with the manager. When stay() has ended, connect again: join() fetches what was missed.
"""

import asyncio
import os

from .._compat import const
from .._typing import TYPING
from ..coap.codes import BAD_REQUEST, CHANGED, CONFLICT, CREATED, POST, PUT, SERVICE_UNAVAILABLE
from ..codes import REPORT_CONFLICT
from ..errors import FormatError, PeerError, UsageError
from ..group.gsa import decode, without_fresh_flag
from ..limits import (
    GRACE_MS,
    MANAGED_POLL_S,
    MISSED_EPOCH_MIN_S,
    REPORT_MAX_S,
    REPORT_MIN_S,
    RESERVE_RECORDS,
)
from ..reasons import E_CLOSED, E_NO_ANSWER, E_REFUSED
from ..store import read_file, replace_file
from .group import join
from .wait import wait_for

_REPORT_BYTES = const(15)
_FORGED_AT = const(11)
_FLAGS_AT = const(10)
_JOINS_MAX = const(16)  # requests, 1 to 2 s apart, while the manager waits for the report of a sender

if TYPING:
    from typing import Any

    from ..coap.message import Message
    from ..types import Network, Response, Routes, Store
    from .coap import Coap
    from .group import Group


class ManagedGroup:
    """A member's part in one managed group.

    * `group`: the dice.aio.group.Group once resume() or join() has returned, else None.
    * `routes`: what the Router of the session with the manager must contain.
    """

    def __init__(
        self,
        name: str,
        path: str,
        network: "Network | None" = None,
        store: "Store | None" = None,
        answering: bool = False,
        reserve_records: int = RESERVE_RECORDS,
        remember_records: int = 1,
        grace_ms: int = GRACE_MS,
    ) -> None:
        """Take part in the group that the manager calls `name`; its GSA is kept in the file `path`.

        The options are those of dice.join; `grace_ms` applies until the manager says another.
        """
        self.group: Group | None = None
        self._name = name
        self._path = path
        self._options: Any = (store, None, network, answering, reserve_records, remember_records, grace_ms)
        self._epoch = 0  # of the GSA in the file
        self._fresh = False  # whether the GSA in the file is
        self._period_s = REPORT_MAX_S  # between two reports
        self._reported = bytes(_REPORT_BYTES)
        self._conflict = 0  # REPORT_CONFLICT if the manager's GSA of our epoch has another key than ours
        self.routes: Routes = {"gsa/" + name: {PUT: self._install}, "gsa/" + name + "/activate": {POST: self._activate}}

    async def resume(self) -> "Group | None":
        """Return the Group as it was left, without the manager, or None if there is no file; raises what dice.join raises.

        A group that has ended, such as by its lifetime, is replaced by a new one.
        """
        if self.group is None or self.group.ended:
            self.leave()
            gsa = read_file(self._path, decode)
            if gsa:
                self._epoch = gsa.epoch
                self.group = await join(self._path, *self._options)
                self.group.watch = self._note_entered
                self._fresh = False  # join() has written it back
        return self.group

    def leave(self) -> None:
        """Close the group. It can be joined again."""
        if self.group:
            self.group.close()
        self.group = None

    async def join(self, manager: "Coap") -> "Group | None":
        """Fetch the newest GSA over the session with the manager, and return the Group.

        Raises PeerError if the manager refuses or does not answer, FormatError for a GSA that is damaged, and what dice.join and
        Coap.request raise.
        """
        response: Any = None
        for _ in range(_JOINS_MAX):
            response = await manager.request(POST, "ace-group/" + self._name)
            if response is None:
                raise PeerError(None, E_NO_ANSWER)
            if response.code != SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(1 + os.urandom(1)[0] / 256)
        if response.code != CREATED:
            raise PeerError(None, E_REFUSED)
        self._take(response.payload)
        await self.resume()
        await self.report(manager, getattr(manager, "back_s", 0))
        return self.group

    async def stay(self, manager: "Coap") -> None:
        """Follow the group until the session ends.

        Raises PeerError if the manager does not answer or refuses this device, and what has ended the group; then join() again.

        Sends a report every 10 minutes, or as often as the manager wants, and soon after this device has changed its epoch or sent
        its first message in it, so that a device that joins later can tell new messages from old ones. If others use an epoch that
        is not held, its GSA may have been lost: a report, whose response has the epoch of the manager, follows after a random time.
        It doubles while there is nothing new, because anybody can make us ask.
        """
        waited_s = missed = 0
        limit_s, pause_s = self._period_s, MISSED_EPOCH_MIN_S
        while True:
            try:
                await wait_for(manager.closed(), MANAGED_POLL_S)
            except asyncio.TimeoutError:
                pass
            if manager.ended:
                return
            if self.group is None or self.group.ended:
                raise UsageError(E_CLOSED)
            waited_s += MANAGED_POLL_S
            dropped = self.group.member.dropped.get("epoch", 0)
            if dropped > missed and limit_s == self._period_s:
                limit_s = min(limit_s - 1, waited_s + pause_s * os.urandom(1)[0] // 256)
            last = self._reported
            report = self._report()
            news = report[:_FORGED_AT] != last[:_FORGED_AT] and (waited_s >= REPORT_MIN_S or last[2:10] == bytes(8))
            self._reported = last
            if news or waited_s >= limit_s:
                if await self.report(manager, getattr(manager, "back_s", 0)) not in (b"", report[:2]):
                    await self.join(manager)
                    pause_s = MISSED_EPOCH_MIN_S
                elif limit_s < self._period_s:
                    pause_s = min(2 * pause_s, REPORT_MAX_S)
                waited_s = 0
                limit_s = self._period_s
                missed = dropped

    async def report(self, manager: "Coap", back_s: int = 0) -> bytes:
        """Report which epoch is installed, how far this device has sent in it, and what went wrong in it.

        * `back_s`: this device goes to sleep, or leaves, and will be back within so many seconds; 0: it stays reachable. The
          reports of join() and stay() in all groups repeat it, over the same session.

        Returns the epoch of the manager, 2 bytes, or b"" if it does not tell. Raises PeerError if the manager does not answer, and
        what Coap.request raises.
        """
        manager.back_s = back_s  # type: ignore[attr-defined] # it belongs to the session, whatever groups share it
        response = await manager.request(POST, "ace-group/%s/node" % self._name, self._report() + back_s.to_bytes(4, "big"))
        if response is None:
            raise PeerError(None, E_NO_ANSWER)
        self._period_s = int.from_bytes(response.payload[2:], "big") or REPORT_MAX_S
        return response.payload[:2]

    def _report(self) -> bytes:
        """Return Member.report() of the GSA in the file if it is installed, with REPORT_CONFLICT; all is 0 without a group."""
        report = bytearray(self.group.member.report(self._epoch) if self.group else _REPORT_BYTES)
        report[_FLAGS_AT] |= self._conflict
        self._reported = bytes(report)
        return self._reported

    def _take(self, body: bytes) -> bool:
        """Handle struct { uint8 grace_s; uint8 active; GSA gsa; }: store a newer GSA, install it, and enter an active epoch.

        A GSA of another group id follows the last epoch of ours: the group is left, and resume() enters the new one. Returns False
        for a GSA that is refused: it is older than ours, or of the same epoch with another key, so the manager's registry is an old
        copy. Raises FormatError, StoreError, UsageError.
        """
        encoded = body[2:]
        gsa = decode(encoded)
        try:
            held = read_file(self._path, decode)
        except FormatError:  # damaged; epochs that are over are in the store, too
            held = None
        if held and held.gid != gsa.gid:
            self.leave()
            held = None
        self._conflict = 0
        if held is None or gsa.epoch > held.epoch:
            replace_file(self._path, encoded)
            self._fresh = True
        elif gsa.epoch < held.epoch:
            return False
        elif gsa.key != held.key:
            self._conflict = REPORT_CONFLICT
            return False
        self._epoch = gsa.epoch
        if self.group and not self.group.ended:
            if self.group.member.held(gsa.epoch) is None:  # the file's: maybe it came before, when there was no memory for it
                self.group.install(read_file(self._path, decode))  # type: ignore[arg-type]
            self.group.member.grace_ms = 1000 * body[0]
            if body[1]:
                self._enter()
        return True

    def _enter(self) -> None:
        try:
            self.group.activate()  # type: ignore[union-attr]
        except UsageError:
            pass  # the first record of another member has activated it
        self._note_entered()  # before anything is sent in it

    def _note_entered(self) -> None:
        """Once the epoch of the file is in use, its numbers are in the store: write it back without the flag `fresh`."""
        current = self._fresh and self.group and self.group.member.held(0)
        if current and current.epoch == self._epoch:
            try:
                replace_file(self._path, read_file(self._path, without_fresh_flag))  # type: ignore[arg-type]
                self._fresh = False
            except Exception:  # of the store, or the file is damaged: that costs no message
                pass  # tried again after the next datagram

    def _install(self, request: "Message", _session: "Any") -> "Response":
        """Handle the body of _take(); it may arrive before join() has returned."""
        try:
            code = CHANGED if self._take(request.payload) else CONFLICT
        except (FormatError, UsageError):
            return BAD_REQUEST, b""
        return code, self._report()  # what is installed: a StoreError would have become 5.00

    def _activate(self, request: "Message", _session: "Any") -> "Response":
        epoch = int.from_bytes(request.payload, "big")
        if self.group is None or self.group.member.held(epoch) is None:
            return BAD_REQUEST, b""
        if epoch == self._epoch:  # else the request is late: the next epoch is here already
            self._enter()
        return CHANGED, self._report()
