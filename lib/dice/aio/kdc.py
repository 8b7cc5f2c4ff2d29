# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key distribution center: the keepers of groups as CoAP resources over DTLS sessions, after RFC 9594 (row 7).

kdc = Kdc()
kdc.add(Manager(...))
await dice.serve(5684, PskLookup(find), kdc.serve)

docs/protocol.md, section 15, has the resources. A member keeps its session open to be reached; one that sleeps fetches its GSA.
"""

import asyncio

from .._compat import ticks_diff
from ..coap.message import BAD_REQUEST, CHANGED, CONTENT, CREATED, FORBIDDEN, GET, POST, PUT
from ..coap.resource import Router
from ..errors import DiceError, FormatError
from ..group.gsa_encode import encode
from ..group.manager import SENDER
from ..limits import DELIVERY_PACE_MS, DELIVERY_RETRY_MS
from ..wire import Reader
from .coap import Coap
from .wait import now


class Kdc:
    """Serves the members of groups, and brings them what they need to know.

    `peers` has the Coap of each identity that is connected. Call changed() after calling add(), remove() or rekey() of a Manager.
    """

    def __init__(self):
        self.peers = {}
        self._deliveries = {}  # by the name of the group
        self._router = Router({})

    def add(self, manager):
        """Serve one more group, with its dice.group.manager.Manager."""
        delivery = _KeyDelivery(manager, self.peers)
        self._deliveries[manager.state.name] = delivery
        self._router.routes.update(delivery.routes)

    async def serve(self, connection):
        """Serve one client; for dice.serve."""
        identity = bytes(connection.session.identity)
        if identity in self.peers:
            self.peers[identity].close()  # the device has begun anew
        peer = Coap(connection, lambda request, _: self._router(request, identity))
        self.peers[identity] = peer
        for name in self._deliveries:
            self.changed(name)
        try:
            await peer.closed()
        except DiceError:
            pass
        finally:
            if self.peers.get(identity) is peer:
                del self.peers[identity]

    def changed(self, name):
        """Have what is new in a group brought to its members."""
        self._deliveries[name].changed.set()

    def settled(self, name):
        """Tell whether every member of a group has its present epoch, and every sender was told to go on to it."""
        return self._deliveries[name].settled()

    def untold(self, name):
        """Return the identities of senders that are connected, and still to be told to go on to the present epoch of a group."""
        return [identity for identity in self._deliveries[name].untold() if identity in self.peers]

    def errors(self):
        """Return what went wrong last in keeping what had to be kept, by the name of the group."""
        return {name: delivery.error for name, delivery in self._deliveries.items() if delivery.error}

    def close(self):
        """Bring nothing any more."""
        for delivery in self._deliveries.values():
            delivery.close()


class _KeyDelivery:
    """What one group's members ask, and what is brought to them, to several at a time: one that does not answer holds up nobody."""

    def __init__(self, manager, peers):
        self.changed = asyncio.Event()
        self.error = None  # what happened last to what had to be kept
        self._manager = manager
        self._peers = peers
        self._told = {}  # the epoch that a sender was told to go on to, by identity
        self._pushes = {}  # a task by identity
        path = "ace-group/" + manager.state.name
        self._target = "gsa/" + manager.state.name
        self.routes = {path: {POST: self._join}, path + "/num": {GET: self._number}, path + "/node": {POST: self._report}}
        self._task = asyncio.create_task(self._run())

    def settled(self):
        return not self._manager.undelivered and not self.untold()

    def untold(self):
        state = self._manager.state
        return [i for i, m in state.members.items() if m.role == SENDER and self._told.get(i) != state.epoch]

    def close(self):
        self._task.cancel()
        for task in list(self._pushes.values()):
            task.cancel()

    def _join(self, request, identity):
        gsa = self._manager.gsa(identity)
        return (FORBIDDEN, b"") if gsa is None else (CREATED, bytes(encode(gsa)))

    def _number(self, request, identity):
        if identity not in self._manager.state.members:
            return FORBIDDEN, b""
        return CONTENT, self._manager.state.epoch.to_bytes(2, "big")

    def _report(self, request, identity):
        """Take struct { uint16 epoch; uint64 next; uint8 clash; }: the GSA that a member holds, and how far it has sent."""
        if identity not in self._manager.state.members:
            return FORBIDDEN, b""
        reader = Reader(request.payload)
        try:
            epoch, sent, clash = reader.uint(2), reader.uint(8), reader.uint(1)
            reader.end()
        except FormatError:
            return BAD_REQUEST, b""
        self._manager.acknowledge(identity, epoch, now())
        self._manager.report(identity, epoch, sent, clash == 1, now())
        self.changed.set()
        return CHANGED, b""

    async def _run(self):
        while True:
            self.changed.clear()
            try:
                self._manager.timeout(now())
            except Exception as error:  # it cannot be kept: nothing has changed, and it is due still
                self.error = error
                await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
                continue
            undelivered = self._manager.undelivered
            await self._send(undelivered, self._push_gsa)
            if self._manager.state.active:
                await self._send([identity for identity in self.untold() if identity not in undelivered], self._activate)
            due = self._manager.deadline()
            try:
                await asyncio.wait_for(self.changed.wait(), None if due is None else max(0, ticks_diff(due, now())) / 1000)
            except asyncio.TimeoutError:
                pass

    async def _send(self, identities, push):
        """Begin an errand to each who is connected and has none."""
        for identity in identities:
            if identity in self._peers and identity not in self._pushes:
                self._pushes[identity] = asyncio.create_task(self._go(identity, push))
                await asyncio.sleep(DELIVERY_PACE_MS / 1000)

    async def _go(self, identity, push):
        try:
            if not await push(identity):
                await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
        except Exception as error:  # an acknowledgement that cannot be kept
            self.error = error
            await asyncio.sleep(DELIVERY_RETRY_MS / 1000)
        finally:
            del self._pushes[identity]
            self.changed.set()

    async def _push_gsa(self, identity):
        """Bring a member its GSA; return whether it has acknowledged it."""
        gsa = self._manager.gsa(identity)
        state = self._manager.state
        if gsa is None or not await self._ask(identity, PUT, self._target, bytes((state.grace_s,)) + bytes(encode(gsa))):
            return False
        self._manager.acknowledge(identity, gsa.epoch, now())
        return True

    async def _activate(self, identity):
        """Tell a sender to go on to the present epoch; return whether it has."""
        epoch = self._manager.state.epoch
        if not await self._ask(identity, POST, self._target + "/activate", epoch.to_bytes(2, "big")):
            return False
        self._told[identity] = epoch
        return True

    async def _ask(self, identity, code, path, payload):
        peer = self._peers.get(identity)
        try:
            response = peer and await peer.request(code, path, payload)
        except (DiceError, OSError):
            return False
        return bool(response) and response.code == CHANGED
