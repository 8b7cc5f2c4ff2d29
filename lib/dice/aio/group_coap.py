# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group, each answered to who asked it alone (RFC 7390; docs/protocol.md, section 13) (row 7).

found = await dice.request_group(group, GET, "light")

responder = dice.Responder(group, router)
async for sender, message in group:
    responder.take(sender, message)

Where who asks has a DTLS session with who answers, it can have the answer come over that; else it comes with response keys.
"""

import asyncio
import os

from ..coap import multicast
from ..coap.multicast import ANSWER_OVER
from ..errors import DiceError
from ..limits import COAP_GROUP_WAIT_MS, COAP_LEISURE_MS, MESSAGES_MAX
from .wait import now


async def request_group(group, code, path, payload=b"", wait_ms=COAP_GROUP_WAIT_MS, identity=b"", peers=()):
    """Ask a group; return {who: coap.message.Message}, where who is a ListenerID, or that one of `peers` which answered.

    `peers` are Coaps over sessions with members, in which we have `identity`. Raises what Group.send() raises.
    """
    message, token = multicast.request(code, path, payload, os.urandom, identity)
    found = {}
    expected = []
    for peer in peers:
        expected.append((peer, peer.endpoint.expect(token, lambda response, peer=peer: found.setdefault(peer, response))))
    try:
        found.update(multicast.responses(await group.ask(message, wait_ms), token))
    finally:
        for peer, exchange in expected:
            peer.endpoint.forget(exchange, now())
    return found


class Responder:
    """Answers what is asked in one group: `handler(request, SenderID)` is as for a coap.exchange.Endpoint, such as a Router.

    `sessions` maps identities to the Coaps of those who have a session with us; a dict that may change. Without one, only a device
    that joined as an answering one can answer. `error` is what a handler raised last.
    """

    def __init__(self, group, handler, sessions=None, leisure_ms=COAP_LEISURE_MS):
        self.error = None
        self._group = group
        self._handler = handler
        self._sessions = {} if sessions is None else sessions
        self._leisure_ms = leisure_ms
        self._tasks = []

    def take(self, sender, message):
        """Do what the message that just came out of the group asks for, and answer later; return whether it is a request.

        Where as many answers are waiting already as a group keeps messages, it is done and not answered.
        """
        asked = multicast.parse(message)
        if asked is None:
            return False
        try:
            response = multicast.respond(asked, self._handler, sender)
        except Exception as error:  # whatever a handler does, the others are served
            self.error = error
            response = None
        if response and len(self._tasks) < MESSAGES_MAX:
            self._tasks.append(asyncio.create_task(self._answer(self._group.asked, asked, response)))
        return True

    async def _answer(self, origin, asked, response):
        try:
            await asyncio.sleep(multicast.delay_ms(os.urandom, self._leisure_ms) / 1000)
            peer = self._sessions.get(asked.option(ANSWER_OVER))
            if peer and not peer.ended:
                await peer.respond(asked, response)
            else:
                await self._group.answer(multicast.encode(asked, response, os.urandom), origin)
        except (DiceError, OSError):
            pass  # lost, as on a bad link
        finally:
            self._tasks.remove(asyncio.current_task())
