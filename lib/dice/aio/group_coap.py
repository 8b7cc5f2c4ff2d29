# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group, each answered to the requester alone (RFC 7390; docs/protocol.md, section 13).

found = await dice.request_group(group, GET, "light")

responder = dice.Responder(group, router)
async for sender, message in group:
    responder.respond(sender, message)

A response is sent over the session with the requester if there is one and the request names it, else with a response key. Over a
session its Token is a hash of the whole request, since a member can copy a Token, and name the session of somebody else.
"""

import asyncio
import os

from .._compat import const
from .._typing import TYPING
from ..coap import multicast
from ..coap.multicast import ANSWER_OVER
from ..group.gsa import checksum
from ..limits import COAP_GROUP_WAIT_MS, COAP_LEISURE_MS, MESSAGES_MAX
from .wait import now

if TYPING:
    from collections.abc import Sequence
    from typing import Any

    from ..coap.message import Message
    from ..types import RequestHandler, Response
    from .coap import Coap
    from .group import Group

_BOUND_BYTES = const(8)  # of the Token over sessions: the longest that CoAP has


async def request_group(
    group: "Group",
    code: int,
    path: str,
    payload: bytes = b"",
    wait_ms: int = COAP_GROUP_WAIT_MS,
    identity: bytes = b"",
    sessions: "Sequence[Coap]" = (),
) -> "dict[Any, Message]":
    """Send a non-confirmable request to a group; return {ListenerID: response} of those that arrive within `wait_ms` ms.

    `sessions` are sessions with members, in which our identity is `identity`: members with one of these respond over it, and the
    response is found under the Coap. Raises what Group.send() raises.
    """
    message, token = multicast.request(code, path, payload, os.urandom, identity)
    found: dict[Any, Message] = {}
    expected = []
    bound = checksum(message, _BOUND_BYTES)
    for session in sessions:
        exchange = session.endpoint.expect(bound, lambda response, session=session: found.setdefault(session, response))  # type: ignore[misc]
        expected.append((session, exchange))
    try:
        found.update(multicast.responses(await group.ask(message, wait_ms), token))
    finally:
        for session, exchange in expected:
            session.endpoint.forget(exchange, now())
    return found


class Responder:
    """Obeys and answers the requests in one group.

    `error` is the last exception, of the handler, of sending or for lack of memory: it cost one request or its response.
    """

    def __init__(
        self,
        group: "Group",
        handler: "RequestHandler",
        sessions: "dict[bytes, Coap] | None" = None,
        leisure_ms: int = COAP_LEISURE_MS,
    ) -> None:
        """Answer with `handler(request, SenderID)`, such as a Router; it returns what the handler of a Coap does.

        * `sessions`: {identity: Coap} of those that have a session with this device; it may change. A device that has not joined
          with `answering` can respond over these alone.
        * `leisure_ms`: responses are sent at a random moment within so many ms (RFC 7252, section 8.2).
        """
        self.error: BaseException | None = None
        self._group = group
        self._handler = handler
        self._sessions: Any = {} if sessions is None else sessions
        self._leisure_ms = leisure_ms
        self._tasks: list[Any] = []

    def respond(self, sender: int, message: bytes) -> bool:
        """Handle the message that the group's iteration gave last; return whether it is a request. Responses are sent later.

        At most MESSAGES_MAX responses wait to be sent; a request beyond these is obeyed, and not answered.
        """
        request = None
        try:  # an error in a handler, or a lack of memory, must not end the task that serves the others
            request = multicast.parse(message)
            response = request and multicast.respond(request, self._handler, sender)
            if response and len(self._tasks) < MESSAGES_MAX:
                self._tasks.append(asyncio.create_task(self._send(self._group.asked, request, response, message)))  # type: ignore[arg-type]
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # also CancelledError, which is that of another task
            self.error = error
        return request is not None

    async def _send(self, asked: "tuple[Any, ...]", request: "Message", response: "Response", message: bytes) -> None:
        try:
            await asyncio.sleep(multicast.delay_ms(os.urandom, self._leisure_ms) / 1000)
            session = self._sessions.get(request.option(ANSWER_OVER))
            if session and not session.ended:
                request.token = checksum(message, _BOUND_BYTES)
                await session.respond(request, response)
            else:
                await self._group.answer(multicast.encode(request, response, os.urandom), asked)
        except Exception as error:  # lost, as on a bad link
            self.error = error
        finally:
            self._tasks.remove(asyncio.current_task())
