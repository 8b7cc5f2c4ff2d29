# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group and their responses, matched by Token alone (RFC 7252, section 8; RFC 7390) (row 5).

The bytes go through `dice.Group`: message, token = request(...); answers = await group.ask(message); responses(answers, token).
"""

from dice._compat import const
from dice.coap.message import NON, Message, decode, path_options
from dice.errors import FormatError

LEISURE_MS = const(5000)  # RFC 7252, section 8.2: responses are spread over so long
_TOKEN_BYTES = const(4)


def request(code, path, payload, random):
    """Return (the bytes of a request to a group, its token)."""
    token = random(_TOKEN_BYTES)
    return Message(NON, code, int.from_bytes(random(2), "big"), token, path_options(path), payload).encode(), token


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


def respond(data, handler, sender, random, leisure_ms=LEISURE_MS):
    """Return (milliseconds to wait, the bytes of the response) to a request from a group, or None for none.

    `handler(request, sender)` is as for an Endpoint. Errors are not told, since every member would tell them (RFC 7390, section
    2.7), nor is what has nothing to say.
    """
    try:
        message = decode(data)
    except FormatError:
        return None
    if message.kind != NON or not 0 < message.code < 32:
        return None
    response = handler(message, sender)
    if response is None or response[0] >> 5 != 2 or not response[1]:
        return None
    options = response[2] if len(response) > 2 else ()
    number = int.from_bytes(random(4), "big")
    answer = Message(NON, response[0], number & 0xFFFF, message.token, options, response[1])
    return (number >> 16) * leisure_ms >> 16, answer.encode()
