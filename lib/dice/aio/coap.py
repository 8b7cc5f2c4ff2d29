# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP over a DTLS session (RFC 7252, section 9), on MicroPython and on CPython, both sides asking and answering (row 6).

peer = Coap(await dice.connect(...), router)
response = await peer.request(GET, "sensors/temperature")
"""

import asyncio
import os

from .._compat import ticks_diff
from ..coap.exchange import Endpoint
from ..coap.message import NOT_FOUND
from .wait import now


def _nothing(request, peer):
    return NOT_FOUND, b""


class Coap:
    """One peer: `await peer.request(...)`, and whatever it asks goes to `handler(request, peer)`, such as a resource.Router.

    `connection` is a dice.aio.session.Connection; `ended` tells that it has come to its end. `blockwise` lets bodies take several
    datagrams, and loads dice.coap.block.
    """

    def __init__(self, connection, handler=_nothing, blockwise=False, **options):
        self.connection = connection
        self.ended = False
        self._changed = asyncio.Event()
        self._error = None
        self._transfer = None
        if blockwise:
            from ..coap.block import Blockwise, Transfer

            handler = Blockwise(handler)
            self._transfer = Transfer
        self.endpoint = Endpoint(handler, os.urandom, self, **options)
        self._task = asyncio.create_task(self._run())

    async def request(self, code, path, payload=b"", options=(), observe=None):
        """Return the response, a coap.message.Message, or None where none came; with `options` or `observe` in one datagram.

        Raises UsageError where too many requests wait, what Connection.send() raises, and PeerError when the session breaks.
        """
        start = now()
        if self._transfer and not options and not observe:
            transfer = self._transfer(self.endpoint, code, path, payload, start)
            await self._until(lambda: transfer.advance(now()), lambda: transfer.exchange)
            return transfer.response
        exchange = self.endpoint.request(code, path, payload, options, start, observe)
        await self._until(lambda: exchange.done, lambda: exchange)
        return exchange.response

    async def respond(self, request, response):
        """Answer a request that was only acknowledged, or notify an observer; return whether that was acknowledged."""
        exchange = self.endpoint.respond(request, response, now())
        await self._until(lambda: exchange.done, lambda: exchange)
        return exchange.acknowledged

    async def closed(self):
        """Serve until the session has ended."""
        await self._until(lambda: False, lambda: None)

    def close(self):
        """End the session."""
        self._task.cancel()
        self.connection.close()
        self._end(None)

    def _end(self, error):
        self.ended = True
        self._error = error
        self._changed.set()

    async def _until(self, reached, present):
        """Wait until `reached()`, and send again what has to be; who gives up waiting has the `present()` Exchange forgotten."""
        try:
            while not reached() and not self.ended:
                await self._flush()
                self._changed.clear()
                await self._wait()
        finally:
            exchange = present()
            if exchange and not exchange.done:
                self.endpoint.forget(exchange, now())
        if self._error:
            raise self._error

    async def _wait(self):
        """Wait for something to have changed, or to be due."""
        deadline = self.endpoint.deadline()
        if deadline is None:
            await self._changed.wait()
            return
        try:
            await asyncio.wait_for(self._changed.wait(), max(0, ticks_diff(deadline, now())) / 1000)
        except asyncio.TimeoutError:
            if self.endpoint.timeout(now()):
                self._changed.set()

    async def _flush(self):
        datagram = self.endpoint.transmit()
        while datagram:
            await self.connection.send(datagram)
            datagram = self.endpoint.transmit()

    async def _run(self):
        try:
            async for datagram in self.connection:
                if self.endpoint.receive(datagram, now()):
                    self._changed.set()
                await self._flush()
            self._end(None)
        except Exception as error:  # raised again where the application waits
            self._end(error)
