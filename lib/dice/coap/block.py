# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Bodies longer than a datagram, block by block (RFC 7959, Block1 and Block2) (row 5). Loaded only where it is used."""

from .._compat import const
from ..limits import COAP_BODY_MAX_BYTES
from .message import BAD_REQUEST, BLOCK1, BLOCK2, GET, uint

_CONTINUE = const(0x5F)  # 2.31
_INCOMPLETE = const(0x88)  # 4.08
_TOO_LARGE = const(0x8D)  # 4.13
_SZX = const(5)  # blocks of 16 << 5 = 512 bytes, which fit every link that takes DTLS handshakes


def _option(number, more, szx):
    return uint(number << 4 | more << 3 | szx)


def _parse(value):
    """Return (block number, whether more follow, SZX) of a block option."""
    number = int.from_bytes(value, "big")
    return number >> 4, number >> 3 & 1, number & 7


class Blockwise:
    """A handler for one Endpoint around another: puts requests together, and takes responses apart.

    One body at a time, of at most `body_max_bytes`; it is kept until the next request.
    """

    def __init__(self, handler, szx=_SZX, body_max_bytes=COAP_BODY_MAX_BYTES):
        self._handler = handler
        self._szx = szx
        self._max = body_max_bytes
        self._asked = None  # what `_body` or `_response` belongs to
        self._body = b""
        self._response = None

    def __call__(self, request, peer):
        """Return the response to a request, or to its block."""
        first = request.option(BLOCK1)
        second = request.option(BLOCK2)
        asked = request.code, request.path()
        number, _, szx = _parse(second or b"")
        if szx == 7 or (first and _parse(first)[2] == 7):
            return BAD_REQUEST, b""
        if number and asked == self._asked and self._response:
            return self._slice(number, szx)
        if number and request.code != GET:  # asking again would do it again
            return _INCOMPLETE, b""
        options = []
        if first is not None:
            early = self._collect(asked, first, request)
            if early:
                return early
            options = [(BLOCK1, first)]
        response = self._handler(request, peer)
        self._body = b""
        self._asked = asked
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

    def _collect(self, asked, value, request):
        """Add a block to the body; return the response where that is not the last one."""
        number, more, szx = _parse(value)
        if number == 0:
            self._asked = asked
            self._response = None
            self._body = b""
        if asked != self._asked or self._response or len(self._body) != number << szx + 4:
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

    def _slice(self, number, szx):
        """Return one block of the response."""
        code, payload, options = self._response
        szx = min(szx, self._szx)
        at = number << szx + 4
        if at and at >= len(payload):
            return BAD_REQUEST, b""
        end = at + (16 << szx)
        more = end < len(payload)
        return code, payload[at:end], options + [(BLOCK2, _option(number, more, szx))]


class Transfer:
    """A request of ours whose body, or whose response's, may take several blocks: call advance() when an Exchange is done.

    `done` tells that it has ended, with `response`, a Message with the whole payload, or None where it failed.
    """

    def __init__(self, endpoint, code, path, payload, now, szx=_SZX, body_max_bytes=COAP_BODY_MAX_BYTES):
        self.response = None
        self.done = False
        self._endpoint = endpoint
        self._what = code, path
        self._payload = payload
        self._szx = szx
        self._max = body_max_bytes
        self._sent = 0  # bytes of our payload
        self._body = b""
        self._ask(now)

    def advance(self, now):
        """Go on where the present Exchange is done; return whether all is."""
        if not self.done and self.exchange.done:
            response = self.exchange.response
            if response is None:
                self.done = True
            elif response.code == _CONTINUE:
                self._continue(response, now)
            else:
                self._receive(response, now)
        return self.done

    def _ask(self, now):
        """Send the next block of our payload; the last one says how large we want those of the response (section 2.4).

        Some servers' own choice of 1,024 bytes does not fit their records with the fragment length that was agreed on.
        """
        size = 16 << self._szx
        end = self._sent + size
        more = end < len(self._payload)
        options = [] if more else [(BLOCK2, _option(0, False, self._szx))]
        if len(self._payload) > size:
            options.append((BLOCK1, _option(self._sent // size, more, self._szx)))
        code, path = self._what
        self.exchange = self._endpoint.request(code, path, self._payload[self._sent : end], options, now)

    def _continue(self, response, now):
        taken = _parse(response.option(BLOCK1) or b"\7")
        self._sent += 16 << self._szx
        if taken[2] > self._szx or self._sent >= len(self._payload):
            self.done = True
            return
        self._szx = taken[2]  # smaller ones, where the server wants them
        self._ask(now)

    def _receive(self, response, now):
        value = response.option(BLOCK2)
        if value is not None:
            number, more, szx = _parse(value)
            if szx == 7 or number << szx + 4 != len(self._body) or len(self._body) + len(response.payload) > self._max:
                self.done = True
                return
            self._body += response.payload
            if more:
                code, path = self._what
                options = [(BLOCK2, _option(number + 1, 0, szx))]
                self.exchange = self._endpoint.request(code, path, b"", options, now)
                return
            response.payload = self._body
        self.response = response
        self.done = True
