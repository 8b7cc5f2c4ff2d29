# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group and their responses, matched by Token alone (RFC 7252, section 8; RFC 7390) (row 5).

What becomes of them on a group and on sessions is dice.aio.group_coap's.
"""

from .._compat import const
from ..errors import FormatError
from ..limits import COAP_LEISURE_MS, COAP_TOKEN_BYTES
from .message import NON, Message, decode, path_options

ANSWER_OVER = const(65000)  # our option, elective: answer over the session of this identity (docs/protocol.md, section 13)


def request(code, path, payload, random, identity=b""):
    """Return (the bytes of a request to a group, its token); `identity` is ours in sessions over which answers may come."""
    token = random(COAP_TOKEN_BYTES)
    options = path_options(path)
    if identity:
        options.append((ANSWER_OVER, identity))
    return Message(NON, code, int.from_bytes(random(2), "big"), token, options, payload).encode(), token


def responses(answers, token):
    """Return {who: Message} of those of `answers`, {who: bytes}, that respond to the request with that token."""
    found = {}
    for who, data in answers.items():
        try:
            message = decode(data)
        except FormatError:
            continue
        if message.token == token and message.code >> 5 > 1:
            found[who] = message
    return found


def parse(data):
    """Return the Message of a request to a group, or None for anything else."""
    try:
        message = decode(data)
    except FormatError:
        return None
    return message if message.kind == NON and 0 < message.code < 32 else None


def respond(message, handler, sender):
    """Return what `handler(message, sender)` returns, or None where nothing is to be answered.

    Errors are not told, since every member would tell them (RFC 7390, section 2.7), nor is what has nothing to say.
    """
    response = handler(message, sender)
    return None if response is None or response[0] >> 5 != 2 or not response[1] else response


def encode(message, response, random):
    """Return the bytes of a response to a request."""
    options = response[2] if len(response) > 2 else ()
    return Message(NON, response[0], int.from_bytes(random(2), "big"), message.token, options, response[1]).encode()


def delay_ms(random, leisure_ms=COAP_LEISURE_MS):
    """Return how long to wait before answering."""
    return int.from_bytes(random(2), "big") * leisure_ms >> 16
