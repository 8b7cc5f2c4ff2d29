# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How a manager that starts gets its members back: where they are is in the registry, with the secret that calls each one.

A session of a member ends with the process of the manager, and the member does not know. So each session is stored, with the
member's address and a token that both sides derive from the session (docs/protocol.md, section 11). After a start, or as a standby
that has taken over, the manager sends each token to its address; the member ends that session and connects anew. Nobody can forge a
token, and it is worth nothing as soon as it was obeyed.

The calls are paced, so that the handshakes of all members do not come at once, and repeated, more and more rarely, to those that
have not connected since.
"""

import asyncio
import heapq
import socket

from dice.aio.wait import now
from dice.codes import RECALL
from dice.errors import DiceError
from dice.group.presence import ASLEEP, CONNECTED, LEFT
from dicectl.manager.registry.storage import StoredSession

PACE_S = 0.004  # between two calls: 250 handshakes a second
BUSY_PACE_S = 0.02  # the same while many handshakes are under way
BUSY = 32
PAUSES_S = (1.5, 3, 6, 12, 24, 48)  # before a device is called again that has not come back
_REFRESH_S = 10.0  # between two looks at addresses and states that have changed
_TOKEN_BYTES = 16
_HELD_S = 3  # the last flight of a handshake, at most


class Recall:
    """The sessions of one manager in its registry, and the calls after a start. run() is the task that does both.

    `service` is a service.ManagerService; `overrun` and `error`: how many exceptions the task has survived, and the last one.
    """

    def __init__(self, service):
        self.overrun = 0
        self.error = None
        self.calls = 0  # sent since the start
        self._service = service
        self._live = {}  # (Connection, StoredSession) by identity
        self._before = {}  # StoredSession by identity, of those that have not connected since the start
        self._unwritten = {}  # Connections that are not served yet, by identity
        self._held = {}  # (address, what is held for it) by session, until its handler begins
        self._is_closed = False

    def begin(self):
        """Read the sessions of before the start."""
        self._before = {identity: row for identity, row in self._service.registry.sessions().items() if row.token}

    def close(self):
        """Store nothing any more: the sessions that end now are those that the next start calls."""
        self._is_closed = True

    def hold(self, client):
        """Hold the last flight of a handshake until the session is stored: who has one can be called back.

        `client` is the dice.dtls.listener.ServerSession. Its handler releases it, or time, if no handler begins.
        """
        transport, address = self._service.transport, client.address
        held = transport.hold(address)
        asyncio.get_running_loop().call_later(_HELD_S, transport.release, address, held)
        self._held[client.session] = address, held

    async def serve(self, connection):
        """Serve one client, as DeviceUpdates.serve() does, as soon as its session is stored."""
        identity = self._service.registry.device_of(connection.session.identity)
        self._before.pop(identity, None)
        row = StoredSession(self._address(connection, None), _token(connection), self._service.registry.now(), CONNECTED)
        self._live[identity] = (connection, row)
        self._store({identity: row})
        try:
            await self._written(identity, connection)
            if not connection.ended:
                await self._service.updates.serve(connection)
            elif identity not in self._service.kdc.connected:
                self._service.kdc.presence.ended(identity, now())
        finally:
            if self._live.get(identity, (None,))[0] is connection:
                self._store({identity: self._ended(identity, self._live.pop(identity)[1])})

    async def _written(self, identity, connection):
        """Wait until what was stored is durable, or cannot be: one session of a device at a time, however many it opens."""
        written = asyncio.Event()
        if identity in self._unwritten:
            self._unwritten[identity].close()
        self._unwritten[identity] = connection
        self._service.kdc.arriving.add(identity)
        address, held = self._held.pop(connection.session, (None, None))
        try:
            self._service.registry.when_written(written.set)
            await written.wait()
        finally:
            self._service.transport.release(address, held)
            if self._unwritten.get(identity) is connection:
                del self._unwritten[identity]
                asyncio.get_running_loop().call_soon(self._arrived, identity)  # when the KDC has the session

    def _arrived(self, identity):
        if identity not in self._unwritten:
            self._service.kdc.arriving.discard(identity)

    async def run(self):
        """Call those that had a session when the manager stopped; then keep what is stored up to date. Never returns."""
        calling = asyncio.create_task(self._call_all())
        try:
            while True:
                await asyncio.sleep(_REFRESH_S)
                try:
                    self._refresh()
                    if calling.done() and not calling.cancelled() and calling.exception():
                        raise calling.exception()
                except Exception as error:
                    self._note(error)
        finally:
            calling.cancel()

    async def _call_all(self):
        clock = asyncio.get_running_loop().time
        latest_first = sorted(self._before, key=lambda identity: -self._before[identity].heard)
        queue = [(clock(), place, 0, identity) for place, identity in enumerate(latest_first)]
        while queue:
            due, place, number, identity = heapq.heappop(queue)
            await asyncio.sleep(due - clock())
            row = self._before.get(identity)
            if row is None or self._service.registry.name(identity) is None:
                continue  # it is back, or was deleted
            self._service.kdc.presence.asked(identity, now())  # it is silent if no call reaches it
            try:
                self._call(row)
            except Exception as error:  # such as an address that this computer cannot reach
                self._note(error)
            if number < len(PAUSES_S):
                heapq.heappush(queue, (clock() + PAUSES_S[number], place, number + 1, identity))
            await asyncio.sleep(PACE_S if self._service.half_open() < BUSY else BUSY_PACE_S)
        self._before = {}

    def _call(self, row):
        transport = self._service.transport
        transport.send(bytes((RECALL,)) + row.token, address_of(row.address, getattr(transport.socket, "family", None)))
        self.calls += 1

    def again(self, identity):
        """Call a device that has a session, so that it connects anew; return whether it can be called."""
        _, row = self._live.get(identity, (None, None))
        if row is None or not row.token:
            return False
        self._call(row)
        return True

    def _refresh(self):
        """Store what has changed: addresses, states, and the time of the last sign of each device."""
        changed = {}
        presence = self._service.kdc.presence
        wall_now, ticks = self._service.registry.now(), now()
        for identity, (connection, row) in list(self._live.items()):
            seen = presence.find(identity, ticks)
            heard = wall_now - (seen.heard_s or 0)
            address = self._address(connection, row.address)
            if address != row.address or seen.state != row.state or heard > row.heard + _REFRESH_S:
                changed[identity] = StoredSession(address, row.token, heard, seen.state, _back(seen, wall_now))
                self._live[identity] = (connection, changed[identity])
        self._store(changed)

    def _ended(self, identity, row):
        """Return what is stored of a device whose session has ended; it is called only if it may not know that."""
        seen = self._service.kdc.presence.find(identity, now())
        token = b"" if seen.state in (LEFT, ASLEEP) else row.token
        wall_now = self._service.registry.now()
        return StoredSession(row.address, token, wall_now - (seen.heard_s or 0), seen.state, _back(seen, wall_now))

    def _store(self, rows):
        if rows and not self._is_closed:
            try:
                self._service.registry.store_sessions(rows)
            except Exception as error:  # the device itself is served all the same
                self._note(error)

    def _note(self, error):
        self.overrun += 1
        self.error = error

    def _address(self, connection, before):
        try:
            address = self._service.client(connection).address
        except KeyError:  # the session has ended, and its handler is about to learn that
            return before
        return list(address) if isinstance(address, tuple) else address


def _token(connection):
    try:
        return connection.session.export(b"dice recall", _TOKEN_BYTES)
    except DiceError:  # a client without an extended master secret
        return b""


def _back(seen, wall_now):
    return wall_now + seen.back_s if seen.back_s else 0.0


def address_of(stored, family):
    """Return a stored address as a socket of `family` takes it: a manager on another computer may have no IPv6."""
    if not isinstance(stored, list):
        return stored
    host, port, *more = stored
    if family == socket.AF_INET:
        return host.removeprefix("::ffff:"), port
    if family == socket.AF_INET6 and ":" not in host:
        return f"::ffff:{host}", port
    return (host, port, *more)
