# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Bodies longer than a datagram, block by block (RFC 7959, Block1 and Block2). Loaded by a Coap with `blockwise` alone."""

from .._compat import const
from .._typing import TYPING
from ..limits import COAP_BODY_MAX_BYTES
from .message import BAD_REQUEST, BLOCK1, BLOCK2, GET, uint

if TYPING:
    from typing import Any

    from ..types import RequestHandler, Response
    from .exchange import Endpoint, Exchange
    from .message import Message

_CONTINUE = const(0x5F)  # 2.31
_INCOMPLETE = const(0x88)  # 4.08
_TOO_LARGE = const(0x8D)  # 4.13
_SZX = const(5)  # blocks of 16 << 5 = 512 bytes, which fit every link that DTLS handshakes fit


def _option(number: int, more: int, szx: int) -> bytes:
    """Return the value of a block option (section 2.2)."""
    return uint(number << 4 | more << 3 | szx)


def _parse(value: bytes) -> "tuple[int, int, int]":
    """Return (block number, 1 if more blocks follow, SZX) of the value of a block option (section 2.2)."""
    number = int.from_bytes(value, "big")
    return number >> 4, number >> 3 & 1, number & 7


class Blockwise:
    """A request handler around another one: it joins the blocks of requests, and splits responses into blocks.

    It holds one body at a time, of at most `body_max_bytes`, until the next request.
    """

    def __init__(self, handler: "RequestHandler", szx: int = _SZX, body_max_bytes: int = COAP_BODY_MAX_BYTES) -> None:
        self._handler = handler
        self._szx = szx
        self._max = body_max_bytes
        self._request: tuple[int, str] | None = None  # (code, path) of the request that `_body` or `_response` belongs to
        self._body = b""
        self._response: Any = None

    def __call__(self, request: "Message", session: "Any") -> "Response | None":
        """Return the response to a request, or to one block of it."""
        first = request.option(BLOCK1)
        second = request.option(BLOCK2)
        key = request.code, request.path()
        number, _, szx = _parse(second or b"")
        if szx == 7 or (first and _parse(first)[2] == 7):
            return BAD_REQUEST, b""
        if number and key == self._request and self._response:
            return self._slice(number, szx)
        if number and request.code != GET:  # to repeat the request would repeat its effect
            return _INCOMPLETE, b""
        options = []
        if first is not None:
            early = self._collect(key, first, request)
            if early:
                return early
            options = [(BLOCK1, first)]
        response = self._handler(request, session)
        self._body = b""
        self._request = key
        self._response = None
        if response is None:
            return None
        if len(response) > 2:
            options += response[2]
        self._response = response[0], response[1], options
        if second is None and len(response[1]) <= 16 << self._szx:
            self._response, response = None, self._response
            return response
        return self._slice(number, szx if second else self._szx)

    def _collect(self, key: "tuple[int, str]", value: bytes, request: "Message") -> "Response | None":
        """Append a block to the body; return None if it was the last one, else the response."""
        number, more, szx = _parse(value)
        if number == 0:
            self._request = key
            self._response = None
            self._body = b""
        if key != self._request or self._response or len(self._body) != number << szx + 4:
            return _INCOMPLETE, b""
        if len(self._body) + len(request.payload) > self._max:
            return _TOO_LARGE, b""
        if more and len(request.payload) != 16 << szx:
            return BAD_REQUEST, b""
        self._body += request.payload
        if more:
            return _CONTINUE, b"", [(BLOCK1, value)]
        request.payload = self._body
        return None

    def _slice(self, number: int, szx: int) -> "Response":
        """Return block `number` of the response."""
        code, payload, options = self._response
        szx = min(szx, self._szx)
        at = number << szx + 4
        if at and at >= len(payload):
            return BAD_REQUEST, b""
        end = at + (16 << szx)
        more = end < len(payload)
        return code, payload[at:end], options + [(BLOCK2, _option(number, more, szx))]


class Transfer:
    """A request of ours that may take several blocks, as may its response. Call advance() when its current `exchange` is done.

    When the transfer is `done`, `response` is a Message with the whole payload, or None if it has failed.
    """

    def __init__(
        self,
        endpoint: "Endpoint",
        code: int,
        path: str,
        payload: bytes,
        now: int,
        szx: int = _SZX,
        body_max_bytes: int = COAP_BODY_MAX_BYTES,
    ) -> None:
        """Send the first block; raises UsageError if too many requests are waiting."""
        self.response: Message | None = None
        self.done = False
        self.exchange: Exchange = None  # type: ignore[assignment] # until _send() has made one
        self._endpoint = endpoint
        self._code = code
        self._path = path
        self._payload = payload
        self._szx = szx
        self._max = body_max_bytes
        self._sent = 0  # bytes of our payload
        self._body = b""
        self._send(now)

    def advance(self, now: int) -> bool:
        """Send the next block if the current exchange is done; return whether the transfer is done."""
        if not self.done and self.exchange.done:
            response = self.exchange.response
            if response is None:
                self.done = True
            elif response.code == _CONTINUE:
                self._continue(response, now)
            else:
                self._receive(response, now)
        return self.done

    def _send(self, now: int) -> None:
        """Send the next block of our payload. The last one states the block size that we want of the response (section 2.4).

        With 1,024 bytes, the choice of some servers, their records would not fit the fragment length that was negotiated.
        """
        size = 16 << self._szx
        end = self._sent + size
        more = end < len(self._payload)
        options = [] if more else [(BLOCK2, _option(0, False, self._szx))]
        if len(self._payload) > size:
            options.append((BLOCK1, _option(self._sent // size, more, self._szx)))
        payload = self._payload[self._sent : end]
        self.exchange = self._endpoint.request(self._code, self._path, payload, options, now)

    def _continue(self, response: "Message", now: int) -> None:
        _, _, szx = _parse(response.option(BLOCK1) or b"\7")
        self._sent += 16 << self._szx
        if szx > self._szx or self._sent >= len(self._payload):
            self.done = True
            return
        self._szx = szx  # the server may want smaller blocks
        self._send(now)

    def _receive(self, response: "Message", now: int) -> None:
        value = response.option(BLOCK2)
        if value is not None:
            number, more, szx = _parse(value)
            if szx == 7 or number << szx + 4 != len(self._body) or len(self._body) + len(response.payload) > self._max:
                self.done = True
                return
            self._body += response.payload
            if more:
                options = [(BLOCK2, _option(number + 1, 0, szx))]
                self.exchange = self._endpoint.request(self._code, self._path, b"", options, now)
                return
            response.payload = self._body
        self.response = response
        self.done = True
