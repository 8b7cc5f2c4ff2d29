# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests in messages of a group, as text for people: "GET light?room=1" instead of its bytes."""

from dice.coap.codes import DELETE, GET, POST, PUT, URI_PATH, URI_QUERY
from dice.coap.message import decode
from dice.errors import DiceError

_METHODS = {GET: "GET", POST: "POST", PUT: "PUT", DELETE: "DELETE"}


def request(data):
    """Return the CoAP request in a message, or None. Text is never one: the code of a request is a control character."""
    try:
        message = decode(bytes(data))
    except DiceError:
        return None
    if message.code not in _METHODS:
        return None
    path, query = (
        [value.decode(errors="backslashreplace") for number, value in message.options if number == wanted]
        for wanted in (URI_PATH, URI_QUERY)
    )
    text = f"{_METHODS[message.code]} {'/'.join(path)}" + ("?" + "&".join(query) if query else "")
    return f"{text}: {bytes(message.payload).decode(errors='backslashreplace')}" if message.payload else text
