# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group and their responses, which are matched by Token alone (RFC 7252, section 8; RFC 7390).

dice.aio.group_coap sends them over groups and sessions.
"""

from .._compat import const
from .._typing import TYPING
from ..errors import FormatError
from ..limits import COAP_LEISURE_MS, COAP_TOKEN_BYTES
from .codes import NON
from .message import Message, decode, path_options

if TYPING:
    from collections.abc import Callable

    from ..types import RequestHandler, Response

ANSWER_OVER = const(65000)  # our option, elective: respond over the session of this identity (docs/protocol.md, section 13)


def request(
    code: int, path: str, payload: bytes, random: "Callable[[int], bytes]", identity: bytes = b""
) -> "tuple[bytearray, bytes]":
    """Return (the bytes of a request to a group, its token).

    `random(n)` returns n random bytes. `identity` is ours in the sessions over which responses may be sent.
    """
    token = random(COAP_TOKEN_BYTES)
    options = path_options(path)
    if identity:
        options.append((ANSWER_OVER, identity))
    return Message(NON, code, int.from_bytes(random(2), "big"), token, options, payload).encode(), token


def responses(answers: "dict[int, bytes]", token: bytes) -> "dict[int, Message]":
    """Return {ListenerID: response} of those of `answers`, {ListenerID: bytes}, that have this token; others are dropped."""
    found = {}
    for who, data in answers.items():
        try:
            message = decode(data)
        except FormatError:
            continue
        if message.token == token and message.code >> 5 > 1:
            found[who] = message
    return found


def parse(data: bytes) -> "Message | None":
    """Return the request to a group in a message, or None if it is not one."""
    try:
        message = decode(data)
    except FormatError:
        return None
    return message if message.kind == NON and 0 < message.code < 32 else None


def respond(message: Message, handler: "RequestHandler", sender: int) -> "Response | None":
    """Return what `handler(message, sender)` returns, or None if no response is to be sent.

    Errors and empty responses are not sent, because all members would send them (RFC 7390, section 2.7).
    """
    response = handler(message, sender)
    return None if response is None or response[0] >> 5 != 2 or not response[1] else response


def encode(message: Message, response: "Response", random: "Callable[[int], bytes]") -> bytearray:
    """Return the bytes of the response to a request; `random(n)` returns n random bytes."""
    options = response[2] if len(response) > 2 else ()
    return Message(NON, response[0], int.from_bytes(random(2), "big"), message.token, options, response[1]).encode()


def delay_ms(random: "Callable[[int], bytes]", leisure_ms: int = COAP_LEISURE_MS) -> int:
    """Return a random time within the Leisure, in ms, after which to respond (RFC 7252, section 8.2)."""
    return int.from_bytes(random(2), "big") * leisure_ms >> 16
