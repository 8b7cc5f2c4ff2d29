# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A server of DTLS sessions: one socket, and a task for each client. A client alone needs `aio.session` only.

service = await dice.serve(5684, PskLookup(find), handler)      async def handler(connection): ...
"""

import asyncio
import os

from .._compat import MICROPYTHON, const, ticks_add, ticks_diff
from .._typing import TYPING
from ..dtls.resumption import Tickets
from ..errors import CLOSED, CONNECTED, NONE, DiceError
from ..limits import DATAGRAM_MAX_BYTES, HALF_OPEN_MAX, MESSAGES_MAX, TICKET_PERIOD_MS, TIMER_MS
from ..transport import network_or_udp
from .session import Connection
from .wait import now, repeat, wait

if not MICROPYTHON:  # first, so that a type checker takes this one
    from ..dtls.session_index import IndexedListener as Listener
else:
    from ..dtls.listener import Listener  # type: ignore[assignment]

if TYPING:
    from collections.abc import Sequence
    from typing import Any

    from ..dtls.listener import ServerSession
    from ..dtls.session import Session
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


_TIMEOUT_EACH_MS = const(100)  # at the latest, while datagrams arrive without a break
_TOGETHER = 1 if MICROPYTHON else MESSAGES_MAX


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
        self._connections: dict[Session, tuple[ServerSession, Connection, Any]] = {}  # (client, connection, its handler's task)
        self._timeout_due = now()
        self._task = asyncio.create_task(self._run())

    def flush(self) -> None:
        """Send all datagrams that the sessions have; raises OSError."""
        out = self.listener.transmit()
        while out:
            self._transport.send(*out)
            out = self.listener.transmit()

    def close(self, connection: "Connection | None" = None) -> None:
        """Close one session, or, without an argument, all sessions and the service."""
        for session in list(self._connections) if connection is None else [connection.session]:
            if session in self._connections:
                client, _, task = self._connections[session]
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

    def client(self, connection: Connection) -> "ServerSession":
        """Return the ServerSession of a connection, which has its `address`; raises KeyError if it has ended."""
        return self._connections[connection.session][0]

    async def wait_closed(self) -> None:
        """Wait until close() is called; raises OSError if the transport fails for good."""
        await self._task

    async def _run(self) -> None:
        try:
            await repeat(self, self._step)
        except OSError as error:
            for _, connection, _ in self._connections.values():
                connection.end(error)
            raise

    async def _step(self) -> None:
        try:
            await self._exchange()
        except Exception:  # such as a lack of memory: a client whose session has no task would wait endlessly
            for client in list(self.listener.sessions):
                if client.session not in self._connections:
                    self.listener.close(client)
            for client in self._without_session():  # it has ended, and its handler does not know yet
                self._forget(client)
            raise

    async def _exchange(self) -> None:
        """Receive a datagram, on a computer as many as the queue of one connection can hold, or wait for one.

        The handler of a new connection runs before its client is notified.
        """
        count = len(self._connections)
        for _ in range(_TOGETHER):
            self.flush()
            datagram, address = self._transport.receive()
            if datagram is None:
                self._timeout()
                await wait(self._transport.socket, self.listener.deadline())
                return
            if datagram:
                self._receive(datagram, address)
            if len(self._connections) != count:
                break
        if ticks_diff(now(), self._timeout_due) >= 0:  # whoever floods us keeps nobody's deadline
            self._timeout()

    def _timeout(self) -> None:
        self._timeout_due = ticks_add(now(), _TIMEOUT_EACH_MS)
        for client in self.listener.timeout(now()):
            self._forget(client)
        self.flush()

    def _receive(self, datagram: "Any", address: "Any") -> None:
        listener = self.listener
        event, client = listener.receive(datagram, address, now())
        while event:
            self._take(event, client)
            event, client = listener.receive(b"", address, now()) if event != CLOSED else (NONE, None)

    def _take(self, event: int, client: "Any") -> None:
        session = client.session
        if event == CONNECTED:
            connection = Connection(session, self)
            self._connections[session] = client, connection, asyncio.create_task(self._handle(connection))
            for other in self._displaced():
                self._forget(other)
        if session in self._connections:
            self._connections[session][1].take(event)
        if event == CLOSED:
            self._forget(client)

    def _displaced(self) -> "list[ServerSession]":
        """Return the clients whose sessions had to make room for others."""
        if not MICROPYTHON:
            return self.listener.displaced()
        return self._without_session()

    def _without_session(self) -> "list[ServerSession]":
        return [client for client, _, _ in self._connections.values() if client not in self.listener.sessions]

    def _forget(self, client: "Any") -> None:
        entry = self._connections.pop(client.session, None)
        if entry:
            entry[1].end()

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
