# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Resources of a CoAP server by their paths (RFC 7252, section 5.10; RFC 6690 for /.well-known/core) (row 5)."""

from .._compat import const
from .message import BAD_REQUEST, BLOCK1, BLOCK2, CONTENT, CONTENT_FORMAT, GET, METHOD_NOT_ALLOWED, NOT_FOUND, URI_PATH

_BAD_OPTION = const(0x82)  # 4.02
_LINK_FORMAT = b"\x28"  # application/link-format
_UNDERSTOOD = (3, 7, URI_PATH, 15, 17, BLOCK1, BLOCK2)  # beside these, a critical option is refused


class Router:
    """A handler for an Endpoint: finds the one for a path; `routes` maps "a/b", or "a/*" for all below, to {method: function}.

    A function takes (request, peer) and returns what Endpoint's handler does.
    """

    def __init__(self, routes):
        self.routes = routes

    def __call__(self, request, peer):
        """Return the response to a request."""
        for number, _ in request.options:
            if number & 1 and number not in _UNDERSTOOD:
                return _BAD_OPTION, b""
        try:
            path = request.path()
        except UnicodeError:
            return BAD_REQUEST, b""
        if path == ".well-known/core" and request.code == GET:
            return CONTENT, ",".join(["</%s>" % name for name in sorted(self.routes)]).encode(), [(CONTENT_FORMAT, _LINK_FORMAT)]
        methods = self.routes.get(path)
        while methods is None and path:
            path = path[: max(path.rfind("/"), 0)]
            methods = self.routes.get(path + "/*")
        if methods is None:
            return NOT_FOUND, b""
        function = methods.get(request.code)
        return function(request, peer) if function else (METHOD_NOT_ALLOWED, b"")
