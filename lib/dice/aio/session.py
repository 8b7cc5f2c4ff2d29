# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The asyncio endpoints of DTLS sessions, on MicroPython and on CPython (row 6).

connection = await dice.connect(("10.0.0.1", 5684), Psk(identity, key))
await connection.send(b"on")
async for message in connection: ...

service = await dice.serve(5684, PskLookup(find), handler)      async def handler(connection): ...
"""

import asyncio
import os

from ..dtls.session import Session
from ..errors import CLOSED, CONNECTED, DATA, NONE, PeerError
from ..limits import MESSAGES_MAX, TICKET_PERIOD_MS
from ..reasons import E_STALLED
from .wait import now, wait


async def connect(address, credentials, timeout_s=60, transport=None, timer_ms=None, mtu=None, network=None, **options):
    """Return a Connection once the handshake has succeeded.

    `address` is (host, port); `credentials` such as kx_psk.Psk(identity, key). The transport is `transport`, or one of `network`,
    or the system's UDP (see dice.transport). `timer_ms` and `mtu` are those of Session, the other options those of client.Client.
    Raises UsageError, OSError, and PeerError, also when `timeout_s` are over: its reason then tells whether nobody answered, or
    what came of the handshake.
    """
    from ..dtls.client import Client

    role = Client(credentials, os.urandom, **options)
    session = Session(role, now(), **_given(timer_ms, mtu))
    endpoint = _Endpoint(session, transport or _network(network).Unicast(address))
    try:
        await asyncio.wait_for(endpoint.connection.opened(), timeout_s)
    except asyncio.TimeoutError:
        session.give_up()
        endpoint.connection.close()
        raise session.error
    except BaseException:  # also cancelled: neither socket nor task are left behind
        endpoint.connection.close()
        raise
    return endpoint.connection


def _network(network):
    if network is None:
        from ..transport import udp

        return udp
    return network


def attach(session, address, transport=None, network=None):
    """Return a Connection of a client's session that was restored (see dice.dtls.sleep)."""
    return _Endpoint(session, transport or _network(network).Unicast(address)).connection


async def serve(port, credentials, handler, transport=None, timer_ms=None, mtu=None, remember=4, network=None, **options):
    """Return a Service that runs `handler(connection)`, a coroutine function, as a task for each client that has connected.

    `credentials` are such as kx_psk_server.PskLookup(find); `transport` and `network` are as for connect(). `remember`: how many
    sessions can be resumed by id, beside those by ticket; None not to resume. The other options are those of listener.Listener.
    Raises UsageError and OSError.
    """
    from ..dtls.listener import Listener
    from ..dtls.resumption import Tickets

    transport = transport or _network(network).Unicast(None, port)
    start = now()
    if remember is not None:
        options["tickets"] = Tickets(os.urandom, TICKET_PERIOD_MS, start, remember)
    listener = Listener(credentials, os.urandom, start, _encode, **_given(timer_ms, mtu), **options)
    return Service(listener, transport, handler)


def _encode(address):
    """Return an address of the transport as bytes, which it is already on MicroPython's unix port."""
    return address if isinstance(address, bytes) else repr(address).encode()


def _given(timer_ms, mtu):
    return {name: value for name, value in (("timer_ms", timer_ms), ("mtu", mtu)) if value is not None}


class Connection:
    """A session's messages: `async for message in connection` until the other side closes, and `await connection.send(message)`.

    The last few messages are kept for the one task that iterates; `ended` tells that none will come; `overrun` counts the
    older ones that were let go of. `session` has the rest: identity, resumed, export(), resumption(), layer.dropped.
    """

    def __init__(self, session, owner):
        self.session = session
        self.overrun = 0
        self._owner = owner
        self._messages = []
        self._changed = asyncio.Event()
        self.ended = False
        self._error = None  # of the transport

    def __aiter__(self):
        return self

    async def __anext__(self):
        """Return the next message; ends when the other side closes, and raises PeerError when the session broke."""
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def receive(self):
        """Return the next message, or None when the session is closed; raises PeerError when it broke."""
        await self._until(lambda: self._messages)
        if self._messages:
            return self._messages.pop(0)
        return None

    async def opened(self):
        """Wait until the handshake is over; raises PeerError, also where the other side closed instead."""
        await self._until(lambda: self.session.connected)
        if not self.session.connected:
            raise PeerError(None, E_STALLED)

    async def send(self, message):
        """Seal `message` (bytes-like) and send it; raises UsageError, LimitError, OSError."""
        self.session.send(message, now())
        self._owner.flush()

    def close(self):
        """Say close_notify, overwrite the keys, and let go of the socket if it is this session's own."""
        self._owner.close(self)

    def end(self, error=None):
        """Wake whoever waits: there is nothing more to come, because of `error` where there was one."""
        self._error = self._error or error
        self.ended = True
        self._changed.set()

    def take(self, event):
        """Take note of an event of the session."""
        if event == DATA:
            if len(self._messages) == MESSAGES_MAX:
                self._messages.pop(0)
                self.overrun += 1
            self._messages.append(self.session.data)
        elif event == CLOSED:
            self.ended = True
        self._changed.set()

    async def _until(self, reached):
        while not reached() and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        if reached():
            return
        if self._error:
            raise self._error
        error = self.session.error
        if error:
            raise PeerError(error.alert, error.reason)  # a new one each time: each raise lengthens its traceback


class _Endpoint:
    """A client's transport and the task that reads it."""

    def __init__(self, session, transport):
        self.connection = Connection(session, self)
        self._session = session
        self._transport = transport
        self._task = asyncio.create_task(self._run())

    def flush(self):
        """Send all there is to send; a network that is down is as one that loses."""
        datagram = self._session.transmit()
        while datagram:
            self._transport.send(datagram)
            datagram = self._session.transmit()

    def close(self, connection):
        """End the session and the task."""
        self._session.close()
        try:
            self.flush()
        except OSError:
            pass
        self._task.cancel()
        self._transport.close()
        connection.end()

    async def _run(self):
        try:
            while not self.connection.ended:
                try:
                    await self._step()
                except MemoryError:  # a datagram is lost, as on a bad link; the next may find room
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0)  # a flood must not starve the other tasks
            self.flush()
        except Exception as error:  # raised again where the application waits
            self.connection.end(error)

    async def _step(self):
        """Take in one datagram, or wait for one."""
        session = self._session
        self.flush()
        datagram, _ = self._transport.receive()
        event = session.receive(datagram, now()) if datagram else session.timeout(now())
        if datagram is None and event == NONE:
            self.flush()
            await wait(self._transport.socket, session.deadline())
        while event:
            self.connection.take(event)
            event = session.receive(b"", now()) if event != CLOSED else NONE


class Service:
    """A server's transport, the task that reads it, and a task for each client; `dice.serve` makes it.

    `listener` has the sessions and what was refused.
    """

    def __init__(self, listener, transport, handler):
        self.listener = listener
        self._transport = transport
        self._handler = handler
        self._connections = []  # (ServerSession, Connection, its task)
        self._task = asyncio.create_task(self._run())

    def flush(self):
        """Send all there is to send."""
        out = self.listener.transmit()
        while out:
            self._transport.send(*out)
            out = self.listener.transmit()

    def close(self, connection=None):
        """End one session, or all of them and the service."""
        for peer, served, task in list(self._connections):
            if connection in (None, served):
                self.listener.close(peer)
                self._forget(peer)
                if connection is None:
                    task.cancel()
        self.flush()
        if connection is None:
            self._task.cancel()
            self._transport.close()

    async def wait_closed(self):
        """Wait for the end of the service, which only an error brings about, or close()."""
        await self._task

    async def _run(self):
        while True:
            try:
                await self._step()
            except MemoryError:  # a datagram is lost, as on a bad link; the next may find room
                self._close_unserved()
                await asyncio.sleep(0.1)
            await asyncio.sleep(0)  # a flood must not starve the other tasks

    def _close_unserved(self):
        """Close the sessions for whose tasks there was no memory: their clients would wait for ever."""
        served = [entry[0] for entry in self._connections]
        for peer in [peer for peer in self.listener.peers if peer not in served]:
            self.listener.close(peer)

    async def _step(self):
        """Take in one datagram, or wait for one."""
        listener = self.listener
        self.flush()
        datagram, address = self._transport.receive()
        if datagram is None:
            for peer in listener.timeout(now()):
                self._forget(peer)
            self.flush()
            await wait(self._transport.socket, listener.deadline())
        elif datagram:
            event, peer = listener.receive(datagram, address, now())
            while event:
                self._take(event, peer)
                event, peer = listener.receive(b"", address, now()) if event != CLOSED else (NONE, None)

    def _take(self, event, peer):
        if event == CONNECTED:
            connection = Connection(peer.session, self)
            self._connections.append((peer, connection, asyncio.create_task(self._handle(connection))))
            for other in [entry[0] for entry in self._connections]:
                if other not in self.listener.peers:  # it had to make room
                    self._forget(other)
        for other, connection, _ in self._connections:
            if other is peer:
                connection.take(event)
        if event == CLOSED:
            self._forget(peer)

    def _forget(self, peer):
        for entry in list(self._connections):
            if entry[0] is peer:
                self._connections.remove(entry)
                entry[1].end()

    async def _handle(self, connection):
        try:
            await self._handler(connection)
        finally:
            connection.close()
