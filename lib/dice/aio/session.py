# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The asyncio endpoint of a client's DTLS session, and the Connection of both sides; `aio.service` is the server.

connection = await dice.connect(("10.0.0.1", 5684), Psk(identity, key))
await connection.send(b"on")
async for message in connection: ...
"""

import asyncio
import os

from .._typing import TYPING
from ..codes import RECALL
from ..dtls.session import Session
from ..errors import CLOSED, DATA, NONE, PeerError
from ..limits import DATAGRAM_MAX_BYTES, MESSAGES_MAX, TIMER_MS
from ..reasons import E_STALLED
from ..transport import network_or_udp
from .wait import now, repeat, wait, wait_for

if TYPING:
    from collections.abc import Callable, Sequence

    from ..dtls.handshake import Resumption
    from ..types import Address, Bytes, ClientCredentials, Network, SessionTransport
    from .service import Service


async def connect(
    address: "Address",
    credentials: "ClientCredentials",
    *,
    timeout_s: float = 60,
    timer_ms: int = TIMER_MS,
    mtu: int = DATAGRAM_MAX_BYTES,
    cid: "bytes | None" = b"",
    server_name: "bytes | None" = None,
    alpn: "Sequence[bytes]" = (),
    fragment_code: "int | None" = 2,
    size_limit: "int | None" = None,
    tickets: bool = False,
    resume: "Resumption | None" = None,
    transport: "SessionTransport | None" = None,
    network: "Network | None" = None,
) -> "Connection":
    """Return a Connection once the handshake has succeeded.

    * `address`: (host, port) of the server, where host is a name or an address, of IPv6 too; `credentials`: such as a Psk.
    * `timeout_s`: the time in s after which connect() gives up.
    * `timer_ms`: the time in ms before the first retransmission: 9 s by RFC 7925, section 11; 1 s suits fast links.
    * `mtu`: the longest datagram to send, in bytes, 128 to 1,232.
    * `cid`: the connection id that the server puts into its records, b"" for none; None does not offer connection ids (RFC 9146).
    * `server_name`: for the Server Name Indication (RFC 6066, section 3).
    * `alpn`: the protocols to offer, the preferred one first (RFC 7301).
    * `fragment_code`: 1 to 4, for records of at most 512 to 4,096 bytes (RFC 6066, section 4), or None.
    * `size_limit`: the longest plaintext to receive, in bytes (RFC 8449), or None.
    * `tickets`: accept a ticket to resume the session by (RFC 5077).
    * `resume`: what `connection.session.resumption()` of an earlier connection returned.
    * `transport` carries the datagrams; by default it is made by `network` for the address, and `network` is the system's UDP
      (see dice.transport).

    Raises PeerError if the handshake fails or takes too long: its reason says whether there was no answer, or what went wrong.
    Raises UsageError for an option out of bounds, and OSError.
    """
    from ..dtls.client import Client
    from ..dtls.record_layer import RecordLayer

    role = Client(
        credentials,
        os.urandom,
        cid,
        server_name,
        alpn,
        fragment_code,
        size_limit,
        tickets,
        resume,
    )
    session = Session(role, RecordLayer(), now(), timer_ms, mtu)
    connection = attach(session, address, transport, network)
    try:
        await wait_for(connection.opened(), timeout_s)
    except asyncio.TimeoutError:
        session.give_up()
        connection.close()
        raise session.error
    except BaseException:  # also cancelled: neither socket nor task are left behind
        connection.close()
        raise
    return connection


def attach(
    session: Session, address: "Address", transport: "SessionTransport | None" = None, network: "Network | None" = None
) -> "Connection":
    """Return a Connection of a client's session that dice.restore() returned; transports are as for connect(). Raises OSError."""
    return _Endpoint(session, transport or network_or_udp(network).Unicast(address)).connection


class Connection:
    """A session: `async for message in connection` until the other side closes it, and `await connection.send(message)`.

    * `session`: the dice.dtls.session.Session, with `identity`, `alpn`, `server_name`, `resumed`, resumption() and export().
    * `overrun`: messages that were lost here: evicted because nobody received them (the newest MESSAGES_MAX are kept), or, of a
      client, because of an exception such as a lack of memory; `error` is the last one.
    * `ended`: whether the session has ended.
    * `recalled`: of a client whose server has lost the session and called it back (docs/protocol.md, section 11): the address that
      the call came from; else None.
    """

    def __init__(self, session: Session, owner: "_Endpoint | Service") -> None:
        self.session = session
        self.overrun = 0
        self.error: Exception | None = None
        self._owner = owner
        self._messages: list[bytes] = []
        self._changed = asyncio.Event()
        self.ended = False
        self.recalled: object = None
        self._error: Exception | None = None  # of the transport

    def __aiter__(self) -> "Connection":
        return self

    async def __anext__(self) -> bytes:
        """Return the next message; stops when the session is closed, and raises PeerError if it fails."""
        message = await self.receive()
        if message is None:
            raise StopAsyncIteration
        return message

    async def receive(self) -> "bytes | None":
        """Return the next message, or None if the session is closed. Raises PeerError if the session fails, and OSError."""
        await self._until(lambda: self._messages)
        return self._messages.pop(0) if self._messages else None

    async def opened(self) -> None:
        """Wait until the handshake is over; raises PeerError if it fails, also if the other side closes the session."""
        await self._until(lambda: self.session.connected)
        if not self.session.connected:
            raise PeerError(None, E_STALLED)

    async def send(self, message: "Bytes") -> None:
        """Seal `message` and send it; `session.data_max()` is the longest one, in bytes.

        Raises UsageError if it is too long or the session is not connected, LimitError if the key is used up, StoreError if a
        restored session cannot store its sequence number, and OSError.
        """
        self.session.send(message, now())
        self._owner.flush()

    def close(self) -> None:
        """Send close_notify, overwrite the keys, and close the transport of a client."""
        self._owner.close(self)

    def end(self, error: "Exception | None" = None) -> None:
        """Wake all tasks that wait: nothing more will arrive, because of `error` if there is one."""
        self._error = self._error or error
        self.ended = True
        self._changed.set()

    def take(self, event: int) -> None:
        """Process an event of the session."""
        if event == DATA:
            if len(self._messages) == MESSAGES_MAX:
                self._messages.pop(0)
                self.overrun += 1
            self._messages.append(self.session.data)
        elif event == CLOSED:
            self.ended = True
        self._changed.set()

    async def _until(self, reached: "Callable[[], object]") -> None:
        while not reached() and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        error = self.session.error
        if self._error and not reached():
            raise self._error
        if error and not reached():
            raise PeerError(error.alert, error.reason)  # a new one each time: each raise lengthens its traceback


class _Endpoint:
    """A client's transport and the task that reads it."""

    def __init__(self, session: Session, transport: "SessionTransport") -> None:
        self.connection = Connection(session, self)
        self._session = session
        self._transport = transport
        self._task = asyncio.create_task(self._run())

    def flush(self) -> None:
        """Send all datagrams that the session has; raises OSError."""
        datagram = self._session.transmit()
        while datagram:
            self._transport.send(datagram)
            datagram = self._session.transmit()

    def close(self, connection: Connection) -> None:
        """Close the session, its task and its transport."""
        self._session.close()
        try:
            self.flush()
        except OSError:
            pass
        self._task.cancel()
        self._transport.close()
        connection.end()

    async def _run(self) -> None:
        try:
            await repeat(self.connection, self._step)
            self.flush()
        except Exception as error:  # raised again where the application waits
            self.connection.end(error)

    async def _step(self) -> bool:
        """Receive one datagram, or wait for one; return whether the session has ended."""
        session = self._session
        self.flush()
        datagram, source = self._transport.receive()
        event = NONE
        if not datagram:
            event = session.timeout(now())
        elif datagram[0] != RECALL:
            event = session.receive(datagram, now())
        elif len(datagram) == 17 and session.extended and datagram[1:] == session.export(b"dice recall", 16):
            self.connection.recalled = source
            event = session.abandon()
        if datagram is None and event == NONE:
            self.flush()
            await wait(self._transport.socket, session.deadline())
        while event:
            self.connection.take(event)
            event = session.receive(b"", now()) if event != CLOSED else NONE
        return self.connection.ended
