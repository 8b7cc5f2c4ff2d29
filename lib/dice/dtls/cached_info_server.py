# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cached_info extension, the server's half; see `cached_info`."""

from .._typing import TYPING
from ..codes import EXTENSION_CACHED_INFO, HANDSHAKE_CERTIFICATE
from ..errors import FormatError
from ..reasons import E_VALUE
from ..wire import Reader
from .cached_info import ACCEPTED, CERT, fingerprint
from .extensions import SERVER_HELLO

if TYPING:
    from .handshake import KeyExchange


class CachedServer:
    """A server's RawPublicKeyServer or CertificateServer, for clients that may know its Certificate already (see `Cached`)."""

    def __init__(self, credentials: "KeyExchange") -> None:
        self._credentials = credentials
        self.extensions = credentials.extensions + ((EXTENSION_CACHED_INFO, self._write, self._read, SERVER_HELLO),)

    def __getattr__(self, name):
        return getattr(self._credentials, name)

    def flight(self, handshake):
        """Return the flight of the credentials, and a fingerprint instead of a Certificate that is known; see KeyExchange."""
        messages = self._credentials.flight(handshake)
        if self._write(handshake):
            messages = [(kind, fingerprint(body) if kind == HANDSHAKE_CERTIFICATE else body) for kind, body in messages]
        return messages

    def _write(self, handshake):
        """Return our extension if the client knows the Certificate that it would get now."""
        data = handshake.theirs.get(EXTENSION_CACHED_INFO)
        if data is None or handshake.resumed:
            return None
        return ACCEPTED if fingerprint(self._credentials.certificate()) in _known(data) else None

    def _read(self, handshake, data):
        _known(data)


def _known(data):
    """Return the fingerprints, with their lengths, of Certificates in a client's CachedInformation; raises FormatError."""
    reader = Reader(data)
    objects = Reader(reader.vector(2))
    reader.end()
    if not objects.more():
        raise FormatError(E_VALUE)
    found = []
    while objects.more():
        kind, value = objects.take(1), objects.vector(1)
        if not value:
            raise FormatError(E_VALUE)
        if kind == CERT:
            found.append(bytes((len(value),)) + value)
    return found
