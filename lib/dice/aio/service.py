# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server of DTLS sessions: one socket, and a task for each client. A client alone needs `aio.session` only.

service = await dice.serve(5684, PskLookup(find), handler)      async def handler(connection): ...
"""

import asyncio
import os

from .._compat import MICROPYTHON
from .._typing import TYPING
from ..dtls.listener import Listener
from ..dtls.resumption import Tickets
from ..errors import CLOSED, CONNECTED, NONE, DiceError
from ..limits import DATAGRAM_MAX_BYTES, HALF_OPEN_MAX, TICKET_PERIOD_MS, TIMER_MS
from ..transport import network_or_udp
from .session import Connection
from .wait import now, repeat, wait

if TYPING:
    from collections.abc import Sequence
    from typing import Any

    from ..dtls.listener import ServerSession
    from ..types import ConnectionHandler, Network, ServerCredentials, SessionTransport


async def serve(
    port: int,
    credentials: "ServerCredentials",
    handler: "ConnectionHandler",
    *,
    sessions_max: int = 8 if MICROPYTHON else 4096,
    half_open_max: int = HALF_OPEN_MAX if MICROPYTHON else 256,
    cid_bytes: int = 1 if MICROPYTHON else 4,
    remember: "int | None" = 4,
    timer_ms: int = TIMER_MS,
    mtu: int = DATAGRAM_MAX_BYTES,
    alpn: "Sequence[bytes]" = (),
    size_limit: "int | None" = None,
    transport: "SessionTransport | None" = None,
    network: "Network | None" = None,
) -> "Service":
    """Return a Service that runs `handler(connection)`, a coroutine function, as a task for each client that has connected.

    * `port`: our UDP port, on IPv6 and IPv4, on a board on IPv4; no other program can have it. `credentials`: such as a PskLookup.
    * `sessions_max`: established sessions; the least recently used one is evicted. 8 on MicroPython, else 4,096.
    * `half_open_max`: handshakes in progress, of some KB of RAM each. 4 on MicroPython, else 256.
    * `cid_bytes`: the length of the connection ids of clients that support them, 0 for none (RFC 9146). 1 on MicroPython, else 4.
    * `remember`: how many sessions can be resumed by session id, besides those with a ticket; None: sessions cannot be resumed.
    * `timer_ms`, `mtu`, `alpn`, `size_limit`, `transport` and `network` are as for connect().

    Raises UsageError for an option out of bounds, and OSError.
    """
    transport = transport or network_or_udp(network).Unicast(None, port)
    start = now()
    listener = Listener(
        credentials,
        os.urandom,
        start,
        _encode,
        sessions_max=sessions_max,
        half_open_max=half_open_max,
        cid_bytes=cid_bytes,
        tickets=None if remember is None else Tickets(os.urandom, TICKET_PERIOD_MS, start, remember),
        timer_ms=timer_ms,
        mtu=mtu,
        alpn=alpn,
        size_limit=size_limit,
    )
    return Service(listener, transport, handler)


def _encode(address: "Any") -> bytes:
    """Return an address of a transport as bytes; on MicroPython's unix port it is bytes already."""
    return address if isinstance(address, bytes) else repr(address).encode()


class Service:
    """A server; serve() makes it. It has a task that reads the transport, and a task for each client.

    * `listener`: the dice.dtls.listener.Listener, with its sessions and counts.
    * `overrun`: how many exceptions have cost one datagram, or ended the session of a handler; `error` is the last one.

    The service ends with close(), and, with all its sessions, when the transport has failed for 5 s without a break.
    """

    def __init__(self, listener: "Listener", transport: "SessionTransport", handler: "ConnectionHandler") -> None:
        self.listener = listener
        self.overrun = 0
        self.error: Exception | None = None
        self._transport = transport
        self._handler = handler
        self._connections: list[tuple[ServerSession, Connection, Any]] = []  # (session, connection, the task of its handler)
        self._task = asyncio.create_task(self._run())

    def flush(self) -> None:
        """Send all datagrams that the sessions have; raises OSError."""
        out = self.listener.transmit()
        while out:
            self._transport.send(*out)
            out = self.listener.transmit()

    def close(self, connection: "Connection | None" = None) -> None:
        """Close one session, or, without an argument, all sessions and the service."""
        for client, served, task in list(self._connections):
            if connection in (None, served):
                self.listener.close(client)
                self._forget(client)
                if connection is None:
                    task.cancel()
        try:
            self.flush()
        except OSError:
            pass
        if connection is None:
            self._task.cancel()
            self._transport.close()

    async def wait_closed(self) -> None:
        """Wait until close() is called; raises OSError if the transport fails for good."""
        await self._task

    async def _run(self) -> None:
        try:
            await repeat(self, self._step)
        except OSError as error:
            for _, connection, _ in self._connections:
                connection.end(error)
            raise

    async def _step(self) -> None:
        try:
            await self._exchange()
        except Exception:  # such as a lack of memory: a client whose session has no task would wait endlessly
            served = [client for client, _, _ in self._connections]
            for client in [client for client in self.listener.sessions if client not in served]:
                self.listener.close(client)
            for client in served:
                if client not in self.listener.sessions:  # it has ended, and its handler does not know yet
                    self._forget(client)
            raise

    async def _exchange(self) -> None:
        """Receive one datagram, or wait for one."""
        listener = self.listener
        self.flush()
        datagram, address = self._transport.receive()
        if datagram is None:
            for client in listener.timeout(now()):
                self._forget(client)
            self.flush()
            await wait(self._transport.socket, listener.deadline())
        elif datagram:
            event, client = listener.receive(datagram, address, now())
            while event:
                self._take(event, client)
                event, client = listener.receive(b"", address, now()) if event != CLOSED else (NONE, None)

    def _take(self, event: int, client: "Any") -> None:
        if event == CONNECTED:
            connection = Connection(client.session, self)
            self._connections.append((client, connection, asyncio.create_task(self._handle(connection))))
            for other in [other for other, _, _ in self._connections]:
                if other not in self.listener.sessions:  # it had to make room
                    self._forget(other)
        for other, connection, _ in self._connections:
            if other is client:
                connection.take(event)
        if event == CLOSED:
            self._forget(client)

    def _forget(self, client: "Any") -> None:
        for entry in list(self._connections):
            served, connection, _ = entry
            if served is client:
                self._connections.remove(entry)
                connection.end()

    async def _handle(self, connection: Connection) -> None:
        try:
            try:
                await self._handler(connection)
            finally:
                connection.close()
        except Exception as error:  # user code
            self.overrun += 1
            self.error = error
            if not isinstance(error, (DiceError, OSError, MemoryError)):
                raise  # an error in the program: asyncio prints it
