# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP's message layer with one peer, in both roles at once (RFC 7252, sections 4 and 5) (row 5).

receive(datagram, now) -> event, request(...) and respond(...), transmit() -> datagram or None, deadline() -> ticks or None,
timeout(now) -> event; DATA says that some Exchange is `done`. One confirmable message is under way at a time (NSTART is 1), the
others wait. A request that comes again is answered again without being obeyed again.
"""

from .._compat import const, ticks_add, ticks_diff
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
from .message import ACK, CON, GET, NON, OBSERVE, RST, Message, decode, path_options

_INTERNAL_ERROR = const(0xA0)  # 5.00


class Exchange:
    """One confirmable message of ours, from its call to its end.

    `done` tells that it has ended: with `response`, a Message, or None where nobody answered or the peer reset it.
    `observe`, where given, is called with each later notification (RFC 7641).
    """

    def __init__(self, message, observe=None):
        self.message = message
        self.observe = observe
        self.response = None
        self.done = False
        self.acknowledged = False
        self.tries = 0
        self.wait_ms = 0
        self.due = None


class Endpoint:
    """CoAP with one peer.

    `handler(request, peer)` returns (code, payload) or (code, payload, options), or None to have the request acknowledged now and
    answered later by respond(). `random(n)` returns n random bytes, such as os.urandom. `dropped` counts what was ignored;
    `error` is what a handler raised last.
    """

    def __init__(self, handler, random, peer=None, ack_timeout_ms=COAP_ACK_TIMEOUT_MS):
        self.peer = peer
        self.dropped = 0
        self.error = None
        self._handler = handler
        self._random = random
        self._ack_timeout_ms = ack_timeout_ms
        self._message_id = int.from_bytes(random(2), "big")
        self._queue = []  # of Exchanges; the first is under way
        self._observed = []  # Exchanges whose resource tells of its changes
        self._replies = []  # (message id, when, what we replied or None) of confirmable and other messages of the peer
        self._out = []

    def request(self, code, path, payload=b"", options=(), now=0, observe=None):
        """Send a confirmable request; return its Exchange. Raises UsageError where too many are waiting."""
        options = path_options(path) + list(options)
        return self._enqueue(Message(CON, code, self._next_id(), self._random(COAP_TOKEN_BYTES), options, payload), now, observe)

    def respond(self, request, response, now):
        """Answer a request that was only acknowledged (section 5.2.2), or notify an observer; return the Exchange."""
        message = _answer(CON, self._next_id(), request, response)
        return self._enqueue(message, now, None)

    def expect(self, token, observe):
        """Have `observe` called with responses to a request that went another way, as to a group; return what forget() takes."""
        exchange = Exchange(Message(NON, GET, 0, token), observe)
        exchange.done = True
        self._observed.append(exchange)
        return exchange

    def ping(self, now):
        """Ask for a sign of life (section 4.3); the Exchange is `acknowledged` if it comes."""
        return self._enqueue(Message(CON, 0, self._next_id()), now, None)

    def forget(self, exchange, now):
        """Wait no more; what it observes is rejected from now on, which ends that (RFC 7641, section 3.6)."""
        if exchange in self._observed:
            self._observed.remove(exchange)
        if not exchange.done:
            self._finish(exchange, None, now)

    def receive(self, datagram, now):
        """Take a datagram; return NONE, or DATA where an Exchange is done. Nothing that is received can raise."""
        try:
            message = decode(datagram)
        except FormatError:
            self.dropped += 1
            if len(datagram) >= 4 and datagram[0] >> 4 == 4 | CON:  # section 4.2: rejected
                self._reply(Message(RST, 0, datagram[2] << 8 | datagram[3]))
            return NONE
        if message.kind in (ACK, RST):
            return self._acknowledged(message, now)
        for message_id, when, reply in self._replies:
            if message_id == message.message_id and ticks_diff(now, when) < COAP_EXCHANGE_LIFETIME_MS:
                if reply:
                    self._out.append(reply)
                return NONE
        if message.code == 0:
            self._reply(Message(RST, 0, message.message_id))  # a ping
            return NONE
        event = NONE
        if message.code >> 5:
            event, reply = self._response(message, now)
        else:
            reply = self._request(message)
        sent = self._reply(reply) if reply else None
        self._replies = self._replies[1 - COAP_REPLIES_MAX :]
        self._replies.append((message.message_id, now, sent if message.kind == CON else None))
        return event

    def transmit(self):
        """Return the next datagram to put on the wire, or None."""
        return self._out.pop(0) if self._out else None

    def deadline(self):
        """Return the ticks at which timeout() wants to be called, or None."""
        return self._queue[0].due if self._queue else None

    def timeout(self, now):
        """Send again, or give up (section 4.2); return DATA where an Exchange is done."""
        if not self._queue or ticks_diff(now, self._queue[0].due) < 0:
            return NONE
        exchange = self._queue[0]
        if exchange.acknowledged or exchange.tries > COAP_MAX_RETRANSMIT:
            return self._finish(exchange, None, now)
        self._send(exchange, now)
        return NONE

    def _next_id(self):
        self._message_id = self._message_id + 1 & 0xFFFF
        return self._message_id

    def _enqueue(self, message, now, observe):
        if len(self._queue) == COAP_QUEUE_MAX:
            raise UsageError(E_QUEUE)
        exchange = Exchange(message, observe)
        self._queue.append(exchange)
        if len(self._queue) == 1:
            self._send(exchange, now)
        return exchange

    def _send(self, exchange, now):
        if exchange.tries == 0:  # between the timeout and one and a half of it
            exchange.wait_ms = self._ack_timeout_ms + self._ack_timeout_ms * self._random(1)[0] // 512
        self._out.append(exchange.message.encode())
        exchange.due = ticks_add(now, exchange.wait_ms << exchange.tries)
        exchange.tries += 1

    def _finish(self, exchange, response, now):
        exchange.response = response
        exchange.done = True
        if exchange in self._queue:
            under_way = exchange is self._queue[0]
            self._queue.remove(exchange)
            if under_way and self._queue:
                self._send(self._queue[0], now)
        return DATA

    def _acknowledged(self, message, now):
        """Take an ACK, alone or with its response, or a RST."""
        exchange = self._queue[0] if self._queue else None
        if exchange is None or message.message_id != exchange.message.message_id:
            self.dropped += 1
            return NONE
        asks = 0 < exchange.message.code < 32  # a request, which wants a response besides
        if message.kind == RST or (message.code == 0 and not asks):
            exchange.acknowledged = message.kind == ACK or exchange.message.code == 0
            return self._finish(exchange, None, now)
        if message.code == 0:
            exchange.acknowledged = True
            exchange.due = ticks_add(now, COAP_RESPONSE_WAIT_MS)
            return NONE
        if message.token != exchange.message.token or not asks or not message.code >> 5:
            self.dropped += 1
            return NONE
        return self._responded(exchange, message, now)

    def _response(self, message, now):
        """Take a response in a message of its own; return (event, our reply or None)."""
        for exchange in self._queue[:1] + self._observed:
            if message.token == exchange.message.token and 0 < exchange.message.code < 32:
                acknowledgment = Message(ACK, 0, message.message_id) if message.kind == CON else None
                return self._responded(exchange, message, now), acknowledgment
        self.dropped += 1
        return NONE, Message(RST, 0, message.message_id) if message.kind == CON else None

    def _responded(self, exchange, message, now):
        if exchange.done:
            exchange.observe(message)
            return NONE
        exchange.acknowledged = True
        if exchange.observe and message.option(OBSERVE) is not None:
            self._observed.append(exchange)
        return self._finish(exchange, message, now)

    def _request(self, message):
        """Have a request handled; return our reply, or None where there is to be none."""
        try:
            response = self._handler(message, self.peer)
        except Exception as error:  # whatever a handler does, the peer is answered and the others are served
            self.error = error
            response = (_INTERNAL_ERROR, b"")
        if response is None:
            return Message(ACK, 0, message.message_id) if message.kind == CON else None
        if message.kind == CON:
            return _answer(ACK, message.message_id, message, response)
        return _answer(NON, self._next_id(), message, response)

    def _reply(self, message):
        """Queue a reply and return its bytes."""
        data = message.encode()
        self._out.append(data)
        return data


def _answer(kind, message_id, request, response):
    """Return the message for what a handler returned."""
    options = response[2] if len(response) > 2 else ()
    return Message(kind, response[0], message_id, request.token, options, response[1])
