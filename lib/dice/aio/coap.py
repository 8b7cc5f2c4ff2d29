# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP over a DTLS session (RFC 7252, section 9): both sides send requests and responses.

manager = Coap(await dice.connect(...), router)
response = await manager.request(GET, "sensors/temperature")
"""

import asyncio
import os

from .._typing import TYPING
from ..coap.codes import NOT_FOUND
from ..coap.exchange import Endpoint, Exchange
from ..limits import COAP_ACK_TIMEOUT_MS
from .wait import now, wait

if TYPING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..coap.exchange import Exchange
    from ..coap.message import Message
    from ..types import Option, RequestHandler, Response
    from .session import Connection


def _not_found(request: "Message", session: "Any") -> "Response":
    return NOT_FOUND, b""


class Coap:
    """A CoAP session: request() sends requests to the other side, whose own requests go to `handler(request, session)`.

    * `connection`: the dice.aio.session.Connection.
    * `ended`: whether the session has ended.
    * `endpoint`: the dice.coap.exchange.Endpoint, with the counts.
    """

    def __init__(
        self,
        connection: "Connection",
        handler: "RequestHandler" = _not_found,
        blockwise: bool = False,
        ack_timeout_ms: int = COAP_ACK_TIMEOUT_MS,
    ) -> None:
        """Start a task that reads `connection`.

        * `handler`: a function of (request, this Coap), such as a Router, that returns (code, payload) or (code, payload, options),
          or None if respond() will answer later; by default every request is answered with 4.04.
        * `blockwise`: bodies may take several datagrams, up to 4,096 bytes (RFC 7959); loads dice.coap.block.
        * `ack_timeout_ms`: ACK_TIMEOUT in ms, the time before the first retransmission (RFC 7252, section 4.8).
        """
        self.connection = connection
        self.ended = False
        self._changed = asyncio.Event()
        self._error: Exception | None = None
        self._blocks: Any = None
        self._transfer: Any = None  # at work
        if blockwise:
            from ..coap.block import Blockwise

            handler = self._blocks = Blockwise(handler)
        self.endpoint = Endpoint(handler, os.urandom, self, ack_timeout_ms)
        self._task = asyncio.create_task(self._run())

    async def request(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        options: "Sequence[Option]" = (),
        observe: "Callable[[Message], object] | None" = None,
    ) -> "Message | None":
        """Send a confirmable request for "a/b"; return the response, or None if none arrived or the request was reset.

        `options` are further (number, bytes), such as (URI_QUERY, b"n=1"); an Observe option among them, with `observe`, has
        `observe(message)` called for each notification (RFC 7641). If COAP_QUEUE_MAX messages are waiting, this one waits for its
        place. Raises what Connection.send() raises, and PeerError when the session fails.

        With `blockwise`, the response is one body of one resource, or PeerError E62 is raised: if the resource changes between two
        blocks, a GET starts over, once. A notification that takes several blocks is passed on as 4.08, without its payload: request
        the resource. Requests wait for each other. Block1 and Block2 must not be in `options`. Without `blockwise`, only the first
        block of a longer response is returned; its Block2 option says so.
        """
        if self._blocks:
            while self._transfer or self.endpoint.is_full():  # a server that holds one body would lose it with the next
                await self._wait()
            transfer = self._blocks.transfer(self.endpoint, code, path, payload, now(), options=options, observe=observe)
            self._transfer = transfer
            await self._until(transfer)
            return transfer.result()
        await self._place()
        return await self._until(self.endpoint.request(code, path, payload, options, now(), observe))

    async def respond(self, request: "Message", response: "Response") -> bool:
        """Answer a request for which the handler returned None, or notify an observer; return whether it was acknowledged.

        Raises as request() does.
        """
        if self._blocks:
            response = self._blocks.split(request, response)
        await self._place()
        exchange = self.endpoint.respond(request, response, now())
        await self._until(exchange)
        return exchange.acknowledged

    async def closed(self) -> None:
        """Wait until the session has ended; requests are answered meanwhile. Raises PeerError when the session fails."""
        await self._until(Exchange(None))

    def close(self) -> None:
        """End the session."""
        self._task.cancel()
        self.connection.close()
        self._end(None)

    def _end(self, error: "Exception | None") -> None:
        self.ended = True
        self._error = error
        self._changed.set()

    async def _place(self) -> None:
        """Wait until there is a place in the queue of the endpoint: the tasks of an application do not know of each other."""
        while self.endpoint.is_full():
            await self._wait()

    async def _until(self, work: "Any") -> "Message | None":
        """Wait until an Exchange or a Transfer is done, or the session has ended, and retransmit meanwhile; return the response."""
        exchange = work
        try:
            while not self.ended and not work.done:
                await self._wait()
                if work is self._transfer and not self.endpoint.is_full():
                    work.advance(now())
        finally:
            if work is self._transfer:
                exchange = work.exchange
                self._transfer = None
                self._changed.set()  # the next one
            if not exchange.done:
                self.endpoint.forget(exchange, now())
                self._changed.set()  # its place is free
        if self._error:
            raise self._error
        return work.response

    async def _wait(self) -> None:
        """Send what there is to send, and wait until something has changed, or is due."""
        await self._flush()
        self._changed.clear()
        await wait(self._changed, self.endpoint.deadline())
        if self.endpoint.timeout(now()):
            self._changed.set()

    async def _flush(self) -> None:
        datagram = self.endpoint.transmit()
        while datagram:
            await self.connection.send(datagram)
            datagram = self.endpoint.transmit()

    async def _run(self) -> None:
        try:
            async for datagram in self.connection:
                try:
                    if self.endpoint.receive(datagram, now()):
                        self._changed.set()
                    await self._flush()
                except Exception as error:  # a lack of memory, or a response too long: it costs this datagram
                    self.endpoint.error = error
            self._end(None)
        except Exception as error:  # raised again where the application waits
            self._end(error)
