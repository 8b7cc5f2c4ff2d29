# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Resources of a CoAP server by their paths (RFC 7252, section 5.10; RFC 6690 for /.well-known/core)."""

from .._compat import const
from .._typing import TYPING
from ..limits import COAP_PATH_MAX_BYTES, COAP_PATH_SEGMENTS_MAX
from .codes import BAD_REQUEST, BLOCK1, BLOCK2, CONTENT, CONTENT_FORMAT, GET, METHOD_NOT_ALLOWED, NOT_FOUND, URI_PATH, URI_QUERY

if TYPING:
    from typing import Any

    from ..types import Response, Routes
    from .message import Message

_BAD_OPTION = const(0x82)  # 4.02
_LINK_FORMAT = b"\x28"  # application/link-format
_UNDERSTOOD = (3, 7, URI_PATH, URI_QUERY, 17, BLOCK1, BLOCK2)  # of the critical options; another one is refused


class Router:
    """A request handler that calls the handler of a resource: for a Coap or a Responder.

    `routes` is {path: {method: handler}}, such as {"lamp": {GET: get_lamp}}; the path "a/*" matches all paths below "a". It may
    change. A handler takes (request, where it came from) and returns (code, payload), (code, payload, options) or None: see Coap.
    Other paths get 4.04, also those of more than COAP_PATH_SEGMENTS_MAX segments or COAP_PATH_MAX_BYTES; other methods 4.05, and
    unknown critical options 4.02. /.well-known/core is answered with the paths. Uri-Query does not choose the handler, which finds
    it among `request.options`, as (URI_QUERY, b"n=1"); one that does not look at it ignores it.
    """

    def __init__(self, routes: "Routes") -> None:
        self.routes = routes

    def __call__(self, request: "Message", session: "Any") -> "Response | None":
        """Return the response to a request."""
        for number, _ in request.options:
            if number & 1 and number not in _UNDERSTOOD:
                return _BAD_OPTION, b""
        try:
            path = request.path()
        except UnicodeError:
            return BAD_REQUEST, b""
        if path.count("/") >= COAP_PATH_SEGMENTS_MAX or len(path) > COAP_PATH_MAX_BYTES:
            return NOT_FOUND, b""
        if path == ".well-known/core" and request.code == GET:
            return CONTENT, ",".join(["</%s>" % name for name in sorted(self.routes)]).encode(), [(CONTENT_FORMAT, _LINK_FORMAT)]
        methods = self.routes.get(path)
        while methods is None and path:
            path = path[: max(path.rfind("/"), 0)]
            methods = self.routes.get(path + "/*")
        if methods is None:
            return NOT_FOUND, b""
        function = methods.get(request.code)
        return function(request, session) if function else (METHOD_NOT_ALLOWED, b"")
