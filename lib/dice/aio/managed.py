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

from .._typing import TYPING
from ..coap.message import BAD_REQUEST, CHANGED, CREATED, POST, PUT
from ..errors import FormatError, PeerError, UsageError
from ..group.gsa import decode
from ..limits import GRACE_MS, MANAGED_POLL_S, MISSED_EPOCH_MIN_S, REPORT_MAX_S, REPORT_MIN_S, RESERVE_RECORDS
from ..reasons import E_NO_ANSWER, E_OTHER_GROUP, E_REFUSED
from ..store import read_file, replace_file
from .group import join

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
        self._epoch: int | None = None  # of the GSA in the file
        self._reported_epoch: int | None = None
        self._reported_next = 0  # the sequence number in the last report
        self.routes: Routes = {"gsa/" + name: {PUT: self._install}, "gsa/" + name + "/activate": {POST: self._activate}}

    async def resume(self) -> "Group | None":
        """Return the Group as it was left, without the manager, or None if there is no file; raises what dice.join raises."""
        gsa = read_file(self._path, decode)
        if self.group is None and gsa:
            self._epoch = gsa.epoch
            self.group = await join(self._path, *self._options)
        return self.group

    def leave(self) -> None:
        """Close the group. It can be joined again."""
        if self.group:
            self.group.close()
        self.group = None

    async def join(self, manager: "Coap") -> "Group | None":
        """Fetch the newest GSA over the session with the manager, and return the Group.

        Raises PeerError if the manager refuses or does not answer, FormatError for a GSA that is damaged, UsageError if it is of
        another group than before, and what dice.join and Coap.request raise.
        """
        response = await manager.request(POST, "ace-group/" + self._name)
        if response is None or response.code != CREATED:
            if response is None:
                raise PeerError(None, E_NO_ANSWER)
            raise PeerError(None, E_REFUSED)
        self._keep(response.payload)
        await self.resume()
        await self.report(manager)
        return self.group

    async def stay(self, manager: "Coap") -> None:
        """Follow the group until the session ends. Raises PeerError if the manager does not answer or refuses this device.

        Sends a report every REPORT_MAX_S, and soon after the first message of this device in an epoch, so that a device that joins
        later can tell new messages from old ones. If others use an epoch that is not held, its GSA was lost: it is fetched.
        """
        waited_s = 0
        missed = self._missed()
        while not manager.ended:
            await asyncio.sleep(MANAGED_POLL_S)
            waited_s += MANAGED_POLL_S
            epoch, next_sequence, _ = self._state()
            reported = self._reported_next if self._reported_epoch == epoch else 0
            news = next_sequence > reported and (waited_s >= REPORT_MIN_S or not reported)
            if waited_s >= MISSED_EPOCH_MIN_S and self._missed() != missed:
                await self.join(manager)
            elif news or waited_s >= REPORT_MAX_S:
                await self.report(manager)
            else:
                continue
            waited_s = 0
            missed = self._missed()

    async def report(self, manager: "Coap") -> None:
        """Report which epoch is held, how far this device has sent in it, and whether another device uses its SenderID.

        Raises PeerError if the manager does not answer, and what Coap.request raises.
        """
        epoch, next_sequence, clash = self._state()
        payload = epoch.to_bytes(2, "big") + (0 if clash else next_sequence).to_bytes(8, "big") + bytes((clash,))
        if await manager.request(POST, "ace-group/%s/node" % self._name, payload) is None:
            raise PeerError(None, E_NO_ANSWER)
        self._reported_epoch = epoch
        self._reported_next = next_sequence

    def _state(self) -> "tuple[Any, int, bool]":
        """Return (the newest epoch, the next sequence number to send in it or 0, whether another device has our SenderID)."""
        context = self.group.member.held(self._epoch) if self.group else None
        if context is None or context.own_id is None:
            return self._epoch, 0, False
        return self._epoch, context.own_next, context.clash

    def _missed(self) -> int:
        """Return the number of datagrams that were of an epoch that is not held."""
        return self.group.member.dropped.get("epoch", 0) if self.group else 0

    def _keep(self, encoded: bytes) -> None:
        """Store and install a GSA that is newer than ours, in this order; raises FormatError, StoreError, UsageError."""
        gsa = decode(encoded)
        held = read_file(self._path, decode)
        if held and held.gid != gsa.gid:
            raise UsageError(E_OTHER_GROUP)
        if held and gsa.epoch < held.epoch:
            return
        if held is None or gsa.epoch > held.epoch:
            replace_file(self._path, encoded)
        self._epoch = gsa.epoch
        if self.group and self.group.member.held(gsa.epoch) is None:  # maybe it is stored, and there was no memory to install it
            self.group.install(gsa)

    def _install(self, request: "Message", _session: "Any") -> "Response":
        """Handle struct { uint8 grace_s; GSA gsa; }; it may arrive before join() has returned."""
        try:
            self._keep(request.payload[1:])
        except (FormatError, UsageError):
            return BAD_REQUEST, b""
        if self.group:
            self.group.member.grace_ms = 1000 * request.payload[0]
        return CHANGED, b""  # it is stored: a StoreError would have become 5.00

    def _activate(self, request: "Message", _session: "Any") -> "Response":
        epoch = int.from_bytes(request.payload, "big")
        if self.group is None or self.group.member.held(epoch) is None:
            return BAD_REQUEST, b""
        if epoch == self._epoch:  # else the request is late: the next epoch is here already
            try:
                self.group.activate()
            except UsageError:
                pass  # the first record of another sender has activated it
        return CHANGED, b""
