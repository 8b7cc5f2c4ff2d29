# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Resources of a CoAP server by their paths, and the bounds of what is looked up."""

from dice.coap.codes import CHANGED, CON, CONTENT, GET, NOT_FOUND, POST, URI_PATH
from dice.coap.message import Message, path_options
from dice.coap.resource import Router
from dice.limits import COAP_OPTIONS_MAX, COAP_PATH_MAX_BYTES, COAP_PATH_SEGMENTS_MAX


def test_the_router_matches_paths_and_methods():
    router = Router(
        {"a": {GET: lambda request, peer: (CONTENT, b"a")}, "b/*": {POST: lambda request, peer: (CHANGED, request.path())}}
    )

    def ask(code, path, options=()):
        return router(Message(CON, code, 1, b"", path_options(path) + list(options)), None)

    assert ask(GET, "a") == (CONTENT, b"a")
    assert ask(POST, "a")[0] == 0x85
    assert ask(GET, "a/b")[0] == NOT_FOUND and ask(GET, "")[0] == NOT_FOUND and ask(GET, "b")[0] == NOT_FOUND
    assert ask(POST, "b/c") == (CHANGED, "b/c") and ask(POST, "b/c/d") == (CHANGED, "b/c/d")
    assert ask(GET, ".well-known/core") == (CONTENT, b"</a>,</b/*>", [(12, b"\x28")])
    assert ask(GET, "a", [(35, b"")])[0] == 0x82  # Proxy-Uri is critical, and this is no proxy
    assert ask(GET, "a", [(15, b"q"), (60, b"")])[0] == CONTENT
    assert router(Message(CON, GET, 1, b"", [(11, b"\xff")]), None)[0] == 0x80


def test_the_router_bounds_what_it_looks_up():
    """Each parent of a path is a string of its own: without a bound, time and memory are quadratic in the segments."""
    found = []
    router = Router({"*": {}, "/*": {}, "a/*": {GET: lambda request, peer: found.append(request) or (CONTENT, b"")}})

    def ask(*segments):
        return router(Message(CON, GET, 1, b"", [(URI_PATH, segment) for segment in segments]), None)[0]

    assert ask(b"a", *[b"b"] * (COAP_PATH_SEGMENTS_MAX - 1)) == CONTENT
    assert ask(b"a", *[b"b"] * COAP_PATH_SEGMENTS_MAX) == NOT_FOUND
    assert ask(b"a", bytes(COAP_PATH_MAX_BYTES - 2)) == CONTENT
    assert ask(b"a", bytes(COAP_PATH_MAX_BYTES - 1)) == NOT_FOUND
    assert ask(*[b""] * COAP_OPTIONS_MAX) == NOT_FOUND
    assert len(found) == 2
