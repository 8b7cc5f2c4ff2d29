# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Bodies longer than a datagram, block by block (RFC 7959, Block1 and Block2). Loaded by a Coap with `blockwise` alone.

Blocks are put together only if they belong to one body: those of a request by its method, its options that are part of the
Cache-Key (RFC 7252, section 5.4.6: path, query, Request-Tag of RFC 9175 ...) and their order; those of a response by the request,
their order, the code and the ETag (RFC 7959, section 2.4).
"""

from .._compat import const
from .._typing import TYPING
from ..crypto import sha256
from ..errors import PeerError
from ..limits import COAP_BODY_MAX_BYTES, COAP_TOKEN_BYTES
from ..reasons import E_BLOCKS
from .codes import BAD_REQUEST, BLOCK1, BLOCK2, ETAG, GET, OBSERVE
from .message import uint

if TYPING:
    from collections.abc import Sequence
    from typing import Any

    from ..types import Option, RequestHandler, Response
    from .exchange import Endpoint, Exchange, Observer
    from .message import Message

_CONTINUE = const(0x5F)  # 2.31
_INCOMPLETE = const(0x88)  # 4.08
_TOO_LARGE = const(0x8D)  # 4.13
_SZX = const(5)  # blocks of 16 << 5 = 512 bytes, which fit every link that DTLS handshakes fit
_ETAG_BYTES = const(4)  # of ours
_SIZE2 = const(28)
_SIZE1 = const(60)
_REQUEST_TAG = const(292)  # RFC 9175, section 3


def _option(number: int, more: int, szx: int) -> bytes:
    """Return the value of a block option (section 2.2)."""
    return uint(number << 4 | more << 3 | szx)


def _parse(value: "bytes | None") -> "tuple[int, int, int]":
    """Return (block number, whether more blocks follow, SZX) of the value of a block option (section 2.2)."""
    number = int.from_bytes(value or b"", "big")
    return number >> 4, number & 8, number & 7


def _without(options: "Sequence[Option]", *numbers: int) -> "list[Option]":
    """Return the options but those with these numbers."""
    return [option for option in options if option[0] not in numbers]


def _whole(observe: "Observer") -> "Observer":
    """Return what calls `observe` with whole notifications. Of a longer one, only the first block was sent (section 2.6)."""

    def notified(message: "Message") -> None:
        if _parse(message.option(BLOCK2))[1]:
            message.code = _INCOMPLETE
            message.payload = b""
        observe(message)

    return notified


class Transfer:
    """A request of ours that may take several blocks, as may its response. Call advance() when its current `exchange` is done.

    When the transfer is `done`, `response` is a Message with the whole payload, or None: nobody answered, or the blocks do not make
    one body. A GET that gets blocks of several bodies, because the resource changed, starts over, once.
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
        options: "Sequence[Option]" = (),
        observe: "Observer | None" = None,
    ) -> None:
        """Send the first block; raises UsageError if too many requests are waiting.

        `options`, without Block1 and Block2, and `observe` are as for Endpoint.request.
        """
        self.response: Message | None
        self.exchange: Exchange
        self._tag: Any  # what all blocks of the response have in common
        self.response = self.exchange = self._tag = None  # type: ignore[assignment]
        self.done = False
        self._endpoint = endpoint
        self._code = code
        self._path = path
        self._payload = payload
        self._szx = szx
        self._max = body_max_bytes
        self._options = list(options)
        self._observe = observe and _whole(observe)
        self._sent = 0  # bytes of our payload
        self._body = b""
        self._again = code == GET  # whether it may start over
        if len(payload) > 16 << szx:  # the blocks of another request must not be taken for ours
            self._options.append((_REQUEST_TAG, endpoint.random(COAP_TOKEN_BYTES)))
        self._send(now)

    def advance(self, now: int) -> bool:
        """Send the next block if the current exchange is done; return whether the transfer is done."""
        if not self.done and self.exchange.done:
            self.done = True  # unless there is a next block
            if self.exchange.response:
                self._receive(self.exchange.response, now)
        return self.done

    def result(self) -> "Message | None":
        """Return `response`; raises PeerError if there was one, but its blocks make no body."""
        if self.response is None and self.exchange.response:
            raise PeerError(None, E_BLOCKS)
        return self.response

    def _send(self, now: int) -> None:
        """Send the next block of our payload. The last one states the block size that we want of the response (section 2.4).

        With 1,024 bytes, the choice of some servers, their records would not fit the fragment length that was negotiated.
        """
        size = 16 << self._szx
        end = self._sent + size
        more = end < len(self._payload)
        options = [] if more else [(BLOCK2, _option(0, 0, self._szx))]
        if len(self._payload) > size:
            options.append((BLOCK1, _option(self._sent // size, more, self._szx)))
        self._request(self._payload[self._sent : end], options, now)

    def _request(self, payload: bytes, options: "list[Option]", now: int) -> None:
        self.exchange = self._endpoint.request(self._code, self._path, payload, self._options + options, now, self._observe)
        self.done = False
        self._options = _without(self._options, OBSERVE)  # further blocks do not observe once more (section 2.6)
        self._observe = None

    def _receive(self, response: "Message", now: int) -> None:
        """Send or request the next block, or finish; do none of them if the blocks do not fit together."""
        sent = self._sent + (16 << self._szx)
        is_success = response.code >> 5 == 2
        if is_success and sent < len(self._payload):  # 2.31, or 2.04 of a server that keeps no state (section 2.3)
            _, _, szx = _parse(response.option(BLOCK1) or b"\7")
            if szx <= self._szx:
                self._sent = sent
                self._szx = szx  # the server may want smaller blocks
                self._send(now)
            return
        value = response.option(BLOCK2)
        number, more, szx = _parse(value)
        body = self._body if value or is_success else b""  # an error is no part of it
        tag = response.code, response.option(ETAG)
        if not body:
            self._tag = tag
        if szx < 7 and tag == self._tag and number << szx + 4 == len(body):
            body += response.payload
            number += 1
            if len(body) > self._max:
                return
        elif body and self._again:
            self._again = False
            number, more, szx, body = 0, 1, self._szx, b""
        else:
            return
        self._body = body
        if more:
            self._request(b"", [(BLOCK2, _option(number, 0, szx))], now)
        else:
            response.payload = body
            self.response = response


class Blockwise:
    """A request handler around another one: it joins the blocks of requests, and splits responses into blocks.

    It holds one body at a time, of at most `body_max_bytes` if it is of a request.
    """

    transfer = Transfer

    def __init__(self, handler: "RequestHandler", szx: int = _SZX, body_max_bytes: int = COAP_BODY_MAX_BYTES) -> None:
        self._handler = handler
        self._szx = szx
        self._max = body_max_bytes
        self._request: Any = None  # what identifies the request whose body is held, in a list if it is of the response
        self._held: Any = None  # the body of a request as far as it was received, or a response

    def __call__(self, request: "Message", session: "Any") -> "Response | None":
        """Return the response to a request, or to one block of it."""
        first = request.option(BLOCK1)
        block, _, size = _parse(request.option(BLOCK2))
        number, more, szx = _parse(first)
        if 7 in (size, szx):
            return BAD_REQUEST, b""
        key = _key(request)
        if block and self._request == [key]:
            return self.split(request)
        if block and request.code != GET:  # to repeat the request would repeat its effect
            return _INCOMPLETE, b""
        if first is not None:
            if number == 0:
                self._request = key
                self._held = b""
            if key != self._request or len(self._held) != number << szx + 4:
                return _INCOMPLETE, b""
            body = self._held + request.payload
            if len(body) > self._max:
                return _TOO_LARGE, b""
            if more:
                if len(request.payload) != 16 << szx:
                    return BAD_REQUEST, b""
                self._held = body
                return _CONTINUE, b"", [(BLOCK1, first)]
            self._request = None
            request.payload = body
        response = self._handler(request, session)
        return response and self.split(request, response)

    def split(self, request: "Message", response: "Response | None" = None) -> "Response":
        """Return the block that `request` asks for: of a response of the handler, or of a later one, or of the one that is held."""
        second = request.option(BLOCK2)
        number, _, szx = _parse(second)
        if second is None or szx > self._szx:
            szx = self._szx
        if response:
            first = request.option(BLOCK1)
            options = [] if first is None else [(BLOCK1, first)]
            if len(response) > 2:
                options += response[2]
            code, payload = response[:2]
            if second is None and len(payload) <= 16 << szx:
                return code, payload, options
            if ETAG not in dict(options):
                options.append((ETAG, sha256(payload).digest()[:_ETAG_BYTES]))
            self._request = [_key(request)]
            self._held = code, payload, options
        code, payload, options = self._held
        at = number << szx + 4
        if at:
            options = _without(options, OBSERVE, BLOCK1)  # these belong to the first one
            if at >= len(payload):
                return BAD_REQUEST, b""
        end = at + (16 << szx)
        return code, payload[at:end], options + [(BLOCK2, _option(number, end < len(payload), szx))]


def _key(request: "Message") -> "Any":
    """Return what identifies a request: all but what differs between its blocks, or is not part of the Cache-Key."""
    return request.code, _without(request.options, OBSERVE, BLOCK1, BLOCK2, _SIZE1, _SIZE2)
