# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP endpoints survive what one datagram, one call of user code or one moment does (invariant 6)."""

import asyncio

from faulty import ONCE, Faulty
from memory_transport import run, until

from dice.aio.coap import Coap
from dice.aio.group_coap import Responder
from dice.coap.message import CON, CONTENT, GET, NON, Message


class Session:
    """The part of dice.aio.session.Connection that Coap uses; `messages` are what it receives."""

    def __init__(self):
        self.messages = []
        self.sent = []
        self.send = Faulty(self._send)
        self.arrived = asyncio.Event()

    def put(self, message):
        self.messages.append(bytes(message))
        self.arrived.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.messages:
            self.arrived.clear()
            await self.arrived.wait()
        return self.messages.pop(0)

    async def _send(self, message):
        self.sent.append(bytes(message))

    def close(self):
        pass


def test_a_coap_session_survives_each_exception_that_a_datagram_causes():
    """In its own code, in the handler, and when the response is sent."""

    async def main():
        session = Session()
        handler = Faulty(lambda request, coap: (CONTENT, b"x"))
        coap = Coap(session, handler)
        receive = coap.endpoint.receive
        number = 0
        for error in ONCE:
            for place in (handler, session.send, None):
                if place is None:
                    coap.endpoint.receive = place = Faulty(receive)
                place.errors.append(error)
                for _ in range(2):
                    number += 1
                    session.put(Message(CON, GET, number, b"t").encode())
                before = len(session.sent)
                await until(lambda before=before: len(session.sent) > before)
                assert not coap.ended and coap.endpoint.error is error
                await asyncio.sleep(0.01)
        coap.close()

    run(main)


def test_a_response_that_cannot_be_sent_costs_itself():
    class Group:
        asked = ()

        async def answer(self, message, asked):
            await answering(message)

    async def answered(message):
        done.append(message)

    done = []
    answering = Faulty(answered)

    async def main():
        responder = Responder(Group(), lambda request, sender: (CONTENT, b"x"), leisure_ms=1)
        for error in ONCE:
            answering.errors.append(error)
            done.clear()
            for _ in range(2):
                assert responder.respond(1, bytes(Message(NON, GET, 1, b"t").encode()))
                await asyncio.sleep(0.05)
            assert responder.error is error and len(done) == 1

    run(main)
