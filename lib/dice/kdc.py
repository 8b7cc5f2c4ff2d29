# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key distribution center: the keeper of a group as CoAP resources over DTLS sessions, after RFC 9594 (row 6).

kdc = Kdc(Manager(...))
await dice.serve(5684, PskLookup(find), kdc.serve)

docs/protocol.md, section 14, has the resources. A member keeps its session open to be reached; one that sleeps fetches its GSA.
"""

import asyncio

from dice._compat import const, ticks_add, ticks_diff, ticks_ms
from dice.coap.message import BAD_REQUEST, CHANGED, CONTENT, CREATED, FORBIDDEN, GET, POST, PUT
from dice.coap.resource import Router
from dice.coaps import Coap
from dice.errors import DiceError, FormatError
from dice.group.manager import SENDER
from dice.wire import Reader

_PACE_MS = const(50)  # between two members, so that a re-key does not fill the air
_AGAIN_MS = const(5_000)  # before a member that did not answer is tried again


class Kdc:
    """Serves the members of one group, and brings them what they need to know; `manager` is a dice.group.manager.Manager.

    Call changed() after calling the manager's add(), remove() or rekey().
    """

    def __init__(self, manager):
        self.manager = manager
        self._name = manager.roster.name
        self._peers = {}  # Coap by identity
        self._told = {}  # the epoch that a sender was told to go on to, by identity
        self._changed = asyncio.Event()
        path = "ace-group/" + self._name
        self._router = Router(
            {path: {POST: self._join}, path + "/num": {GET: self._number}, path + "/node": {POST: self._report}},
        )
        self._task = asyncio.create_task(self._deliver())

    async def serve(self, connection):
        """Serve one client; for dice.serve."""
        identity = bytes(connection.session.identity)
        peer = Coap(connection, lambda request, _: self._router(request, identity))
        self._peers[identity] = peer
        self.changed()
        try:
            await peer.closed()
        finally:
            if self._peers.get(identity) is peer:
                del self._peers[identity]

    def changed(self):
        """Have what is new brought to the members."""
        self._changed.set()

    def settled(self):
        """Tell whether every member has the present epoch, and every sender was told to go on to it."""
        roster = self.manager.roster
        senders = [identity for identity, member in roster.members.items() if member.role == SENDER]
        return not self.manager.undelivered and all(self._told.get(identity) == roster.epoch for identity in senders)

    def close(self):
        """Bring nothing any more."""
        self._task.cancel()

    def _join(self, request, identity):
        gsa = self.manager.gsa(identity)
        return (FORBIDDEN, b"") if gsa is None else (CREATED, bytes(gsa.encode()))

    def _number(self, request, identity):
        if identity not in self.manager.roster.members:
            return FORBIDDEN, b""
        return CONTENT, self.manager.roster.epoch.to_bytes(2, "big")

    def _report(self, request, identity):
        """Take struct { uint16 epoch; uint64 next; uint8 clash; }: the GSA that a member holds, and how far it has sent."""
        if identity not in self.manager.roster.members:
            return FORBIDDEN, b""
        reader = Reader(request.payload)
        try:
            epoch, sent, clash = reader.uint(2), reader.uint(8), reader.uint(1)
            reader.end()
        except FormatError:
            return BAD_REQUEST, b""
        self.manager.acknowledge(identity, epoch, ticks_ms())
        self.manager.report(identity, epoch, sent, clash == 1, ticks_ms())
        self.changed()
        return CHANGED, b""

    async def _deliver(self):
        while True:
            self._changed.clear()
            self.manager.timeout(ticks_ms())
            waiting = False
            for identity in self.manager.undelivered:
                waiting |= not await self._ask(identity, PUT, "gsa/" + self._name)
            roster = self.manager.roster
            for identity, member in roster.members.items() if roster.active else ():
                if member.role == SENDER and self._told.get(identity) != roster.epoch:
                    if await self._ask(identity, POST, "gsa/%s/activate" % self._name):
                        self._told[identity] = roster.epoch
                    else:
                        waiting = True
            if not self._changed.is_set():
                await self._wait(waiting)

    async def _ask(self, identity, code, path):
        """Bring a member its GSA, or the word to go on; return whether it has taken it."""
        peer = self._peers.get(identity)
        epoch = self.manager.roster.epoch
        gsa = self.manager.gsa(identity)
        if peer is None or gsa is None:
            return False
        told = epoch.to_bytes(2, "big")
        if code == PUT:
            told = bytes((self.manager.roster.grace_s,)) + bytes(gsa.encode())
        try:
            response = await peer.request(code, path, told)
        except (DiceError, OSError):
            return False
        await asyncio.sleep(_PACE_MS / 1000)
        if response is None or response.code != CHANGED:
            return False
        if code == PUT:
            self.manager.acknowledge(identity, epoch, ticks_ms())
        return True

    async def _wait(self, waiting):
        """Wait for a change, for the manager's deadline, or for the next try."""
        now = ticks_ms()
        end = ticks_add(now, _AGAIN_MS) if waiting else None
        due = self.manager.deadline()
        if due is not None and (end is None or ticks_diff(due, end) < 0):
            end = due
        try:
            await asyncio.wait_for(self._changed.wait(), None if end is None else max(0, ticks_diff(end, now)) / 1000)
        except asyncio.TimeoutError:
            pass
