# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The message layer of CoAP with one other endpoint, as client and as server (RFC 7252, sections 4 and 5); sans-IO.

    receive(datagram, now) -> event     request(...), respond(...) -> Exchange      transmit() -> datagram or None
    deadline() -> ticks or None         timeout(now) -> event

The event DATA means that some Exchange is `done`. One confirmable message is outstanding at a time (NSTART is 1), others wait. If a
request is repeated, its response is repeated, and the handler is not called again.
"""

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..errors import DATA, NONE, FormatError, UsageError
from ..limits import (
    COAP_ACK_TIMEOUT_MS,
    COAP_EXCHANGE_LIFETIME_MS,
    COAP_MAX_RETRANSMIT,
    COAP_QUEUE_MAX,
    COAP_REPLIES_MAX,
    COAP_RESPONSE_WAIT_MS,
    COAP_TOKEN_BYTES,
)
from ..reasons import E_QUEUE
from .codes import ACK, CON, GET, NON, OBSERVE, RST
from .message import Message, decode, path_options

if TYPING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..types import Option, RequestHandler, Response

    Observer = Callable[[Message], object]

_INTERNAL_ERROR = const(0xA0)  # 5.00


class Exchange:
    """One confirmable message of ours.

    When it is `done`, `response` is the response, or None if there was none or the message was reset. `acknowledged`: whether an
    acknowledgement was received. `observe(message)` is called for each later notification (RFC 7641).
    """

    def __init__(self, message: "Message | Any", observe: "Observer | None" = None) -> None:
        self.message = message
        self.observe = observe
        self.response: Message | None = None
        self.done = False
        self.acknowledged = False
        self.tries = 0  # how often it was sent
        self.wait_ms = 0  # before its first retransmission
        self.due = 0  # ticks of the next retransmission, or of the end


class Endpoint:
    """CoAP with one other endpoint.

    `dropped` counts the datagrams that were ignored; `error` is what a handler or an observer raised last.
    """

    def __init__(
        self,
        handler: "RequestHandler",
        random: "Callable[[int], bytes]",
        session: "Any" = None,
        ack_timeout_ms: int = COAP_ACK_TIMEOUT_MS,
    ) -> None:
        """Answer requests with `handler(request, session)`.

        * `handler` returns (code, payload) or (code, payload, options), or None: then the request is acknowledged, and respond()
          answers it later.
        * `random(n)` returns n random bytes, such as os.urandom.
        * `session`: any object, which the handler gets.
        * `ack_timeout_ms`: ACK_TIMEOUT in ms, the time before the first retransmission (section 4.8).
        """
        self.dropped = 0
        self.error: BaseException | None = None
        self._session = session
        self._handler = handler
        self.random = random
        self._ack_timeout_ms = ack_timeout_ms
        self._message_id = int.from_bytes(random(2), "big")
        self._queue: list[Exchange] = []  # the first one is outstanding
        self._observed: list[Exchange] = []  # those that receive notifications
        self._replies: list[tuple[int, bytearray | None]] = []  # (message id, our reply) of messages received
        self._forget_at = 0  # ticks
        self._out: list[bytearray] = []

    def request(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        options: "Sequence[Option]" = (),
        now: int = 0,
        observe: "Observer | None" = None,
    ) -> Exchange:
        """Send a confirmable request for "a/b"; return its Exchange. Raises UsageError if COAP_QUEUE_MAX are waiting."""
        options = path_options(path) + list(options)
        return self._enqueue(Message(CON, code, 0, self.random(COAP_TOKEN_BYTES), options, payload), now, observe)

    def respond(self, request: Message, response: "Response", now: int) -> Exchange:
        """Answer a request that was only acknowledged (section 5.2.2), or notify an observer; return the Exchange.

        Raises UsageError if COAP_QUEUE_MAX messages are waiting.
        """
        return self._enqueue(_answer(CON, 0, request, response), now, None)

    def expect(self, token: bytes, observe: "Observer") -> Exchange:
        """Call `observe(response)` for each response with this token, to a request that was sent to a group; see forget()."""
        exchange = Exchange(Message(NON, GET, 0, token), observe)
        exchange.done = True
        self._observed.append(exchange)
        return exchange

    def ping(self, now: int) -> Exchange:
        """Send an empty confirmable message (section 4.3); the Exchange is `acknowledged` if the other endpoint is alive."""
        return self._enqueue(Message(CON, 0, 0), now, None)

    def is_full(self) -> bool:
        """Return whether COAP_QUEUE_MAX messages are waiting."""
        return len(self._queue) == COAP_QUEUE_MAX

    def forget(self, exchange: Exchange, now: int) -> None:
        """Stop waiting. Later notifications are rejected, which ends the observation (RFC 7641, section 3.6)."""
        if exchange in self._observed:
            self._observed.remove(exchange)
        if not exchange.done:
            self._finish(exchange, None, now)

    def receive(self, datagram: bytes, now: int) -> int:
        """Process a datagram; return DATA if an Exchange is done, else NONE. No datagram can raise."""
        try:
            message = decode(datagram)
        except FormatError:
            self.dropped += 1
            if len(datagram) >= 4 and datagram[0] >> 4 == 4 | CON:  # rejected (section 4.2)
                self._reply(Message(RST, 0, datagram[2] << 8 | datagram[3]))
            return NONE
        if message.kind in (ACK, RST):
            return self._acknowledged(message, now)
        if not 0 < ticks_diff(self._forget_at, now) <= COAP_EXCHANGE_LIFETIME_MS:  # its id may belong to another message by now
            self._replies = []
        for message_id, earlier in self._replies:
            if message_id == message.message_id:
                if earlier:
                    self._out.append(earlier)
                return NONE
        if message.code == 0:
            self._empty(RST, message)  # a ping
            return NONE
        event = NONE
        if message.code >> 5:
            event, sent = self._response(message, now)
        else:
            sent = self._request(message)
        self._replies = self._replies[1 - COAP_REPLIES_MAX :]
        self._replies.append((message.message_id, sent if message.kind == CON else None))
        self._forget_at = ticks_add(now, COAP_EXCHANGE_LIFETIME_MS)
        return event

    def transmit(self) -> "bytearray | None":
        """Return the next datagram to send, or None."""
        return self._out.pop(0) if self._out else None

    def deadline(self) -> "int | None":
        """Return the ticks at which timeout() must be called, or None."""
        due = self._queue[0].due if self._queue else None
        if self._replies and (due is None or ticks_diff(self._forget_at, due) < 0):
            due = self._forget_at
        return due

    def timeout(self, now: int) -> int:
        """Retransmit or give up if that is due (section 4.2); return DATA if an Exchange is done, else NONE."""
        if ticks_diff(now, self._forget_at) >= 0:
            self._replies = []
        if not self._queue or ticks_diff(now, self._queue[0].due) < 0:
            return NONE
        exchange = self._queue[0]
        if exchange.acknowledged or exchange.tries > COAP_MAX_RETRANSMIT:
            return self._finish(exchange, None, now)
        self._send(exchange, now)
        return NONE

    def _next_id(self) -> int:
        self._message_id = self._message_id + 1 & 0xFFFF
        return self._message_id

    def _enqueue(self, message: Message, now: int, observe: "Observer | None") -> Exchange:
        if self.is_full():
            raise UsageError(E_QUEUE)
        message.message_id = self._next_id()
        exchange = Exchange(message, observe)
        self._queue.append(exchange)
        if len(self._queue) == 1:
            self._send(exchange, now)
        return exchange

    def _send(self, exchange: Exchange, now: int) -> None:
        if exchange.tries == 0:  # ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM_FACTOR, 1.5
            exchange.wait_ms = self._ack_timeout_ms + self._ack_timeout_ms * self.random(1)[0] // 512
        self._out.append(exchange.message.encode())
        exchange.due = ticks_add(now, exchange.wait_ms << exchange.tries)
        exchange.tries += 1

    def _finish(self, exchange: Exchange, response: "Message | None", now: int) -> int:
        exchange.response = response
        exchange.done = True
        if exchange in self._queue:
            outstanding = self._queue[0]
            self._queue.remove(exchange)
            if self._queue and self._queue[0] is not outstanding:
                self._send(self._queue[0], now)
        return DATA

    def _acknowledged(self, message: Message, now: int) -> int:
        """Process an ACK, empty or with a response, or a RST."""
        exchange = self._queue[0] if self._queue else None
        if exchange and message.message_id == exchange.message.message_id:
            is_request = 0 < exchange.message.code < 32  # it is done with its response only
            if message.kind == RST or (message.code == 0 and not is_request):
                exchange.acknowledged = message.kind == ACK or exchange.message.code == 0
                return self._finish(exchange, None, now)
            if message.code == 0:
                exchange.acknowledged = True
                exchange.due = ticks_add(now, COAP_RESPONSE_WAIT_MS)
                return NONE
            if message.token == exchange.message.token and is_request and message.code >> 5:
                return self._responded(exchange, message, now)
        self.dropped += 1
        return NONE

    def _response(self, message: Message, now: int) -> "tuple[int, bytearray | None]":
        """Process a response in a message of its own; return (event, the bytes of our reply or None)."""
        for exchange in self._queue[:1] + self._observed:
            if message.token == exchange.message.token and 0 < exchange.message.code < 32:
                return self._responded(exchange, message, now), self._empty(ACK, message)
        self.dropped += 1
        return NONE, self._empty(RST, message)

    def _responded(self, exchange: Exchange, message: Message, now: int) -> int:
        if exchange.done:
            try:
                exchange.observe(message)  # type: ignore[misc] # only an observed one gets here
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # also CancelledError, which is that of another task: nothing is awaited here
                self.error = error
            return NONE
        exchange.acknowledged = True
        if exchange.observe and message.option(OBSERVE) is not None:
            self._observed.append(exchange)
        return self._finish(exchange, message, now)

    def _request(self, message: Message) -> "bytearray | None":
        """Call the handler; queue our reply and return its bytes, or None if none is to be sent."""
        kind, message_id = (ACK, message.message_id) if message.kind == CON else (NON, self._next_id())
        try:
            response = self._handler(message, self._session)
            if response is not None:
                return self._reply(_answer(kind, message_id, message, response))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # an error in a handler, or of what it returned, must not end the task that serves it
            self.error = error
            return self._reply(Message(kind, _INTERNAL_ERROR, message_id, message.token))
        return self._empty(ACK, message)

    def _empty(self, kind: int, message: Message) -> "bytearray | None":
        """Reply with an ACK or RST to a confirmable message; return its bytes."""
        return self._reply(Message(kind, 0, message.message_id)) if message.kind == CON else None

    def _reply(self, message: Message) -> bytearray:
        """Queue a reply; return its bytes."""
        data = message.encode()
        self._out.append(data)
        return data


def _answer(kind: int, message_id: int, request: Message, response: "Response") -> Message:
    """Return the message of a response that a handler returned."""
    options = response[2] if len(response) > 2 else ()
    return Message(kind, response[0], message_id, request.token, options, response[1])
