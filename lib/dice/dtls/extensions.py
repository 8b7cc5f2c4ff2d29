# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The table of hello extensions, for both roles. A row is

    (type, write, read, where)

    write(handshake)        return what we write, bytes, or None to omit the extension; a server has read all before
    read(handshake, data)   process the peer's data, bytes, if it wrote the extension; raises PeerError, FormatError
    where                   the hellos in which we write it: CLIENT_HELLO, SERVER_HELLO (if the client wrote it), or both

The order of the rows is the order on the wire. The rows of a key exchange come after these. A server ignores unknown types, and a
client refuses those that it did not write.
"""

from .._compat import const
from ..codes import (
    ALERT_ILLEGAL_PARAMETER,
    EXTENSION_ALPN,
    EXTENSION_CONNECTION_ID,
    EXTENSION_EXTENDED_MASTER_SECRET,
    EXTENSION_MAX_FRAGMENT_LENGTH,
    EXTENSION_RECORD_SIZE_LIMIT,
    EXTENSION_RENEGOTIATION_INFO,
    EXTENSION_SERVER_NAME,
    EXTENSION_SESSION_TICKET,
)
from ..errors import PeerError
from ..reasons import E_ILLEGAL

CLIENT_HELLO = const(1)
SERVER_HELLO = const(2)
BOTH = const(3)

_SIZE_LIMIT_MIN = const(64)  # RFC 8449, section 4


def _vector(data, width):
    """Return a byte string behind its length in `width` bytes."""
    return len(data).to_bytes(width, "big") + data


def _require(right):
    if not right:
        raise PeerError(ALERT_ILLEGAL_PARAMETER, E_ILLEGAL)


def _write_empty(handshake):
    return b""


def _read_master_secret(handshake, data):
    handshake.extended = True


def _write_fragment_length(handshake):
    return bytes((handshake.fragment_code,)) if handshake.fragment_code else None


def _read_fragment_length(handshake, data):
    if EXTENSION_RECORD_SIZE_LIMIT not in handshake.theirs:
        code = int.from_bytes(data, "big")
        _require(len(data) == 1 and 1 <= code <= 4 and (not handshake.is_client or code == handshake.fragment_code))
        handshake.fragment_code = code
        handshake.record_max = min(handshake.record_max, 256 << code)
    else:
        _require(not handshake.is_client)  # a server ignores it then (RFC 8449, section 5)


def _write_size_limit(handshake):
    return handshake.size_limit.to_bytes(2, "big") if handshake.size_limit else None


def _read_size_limit(handshake, data):
    limit = int.from_bytes(data, "big")
    _require(len(data) == 2 and limit >= _SIZE_LIMIT_MIN)
    handshake.record_max = min(handshake.record_max, limit)


def _write_cid(handshake):
    return None if handshake.cid is None else _vector(handshake.cid, 1)


def _read_cid(handshake, data):
    if handshake.cid is not None:
        _require(data and data[0] == len(data) - 1)
        handshake.peer_cid = data[1:]


def _write_server_name(handshake):
    return _vector(b"\0" + _vector(handshake.server_name, 2), 2) if handshake.server_name else None


def _read_server_name(handshake, data):
    if not handshake.is_client:  # a client ignores it
        handshake.read_server_name(data)


def _write_protocols(handshake):
    names = b""
    for name in (handshake.alpn,) if handshake.alpn else handshake.protocols:
        names += _vector(name, 1)
    return _vector(names, 2) if names else None


def _read_protocols(handshake, data):
    if handshake.is_client:
        handshake.alpn = data[3:]
        _require(handshake.alpn in handshake.protocols and data == _write_protocols(handshake))
    elif handshake.protocols:
        handshake.choose_protocol(data)


def _write_renegotiation(handshake):
    return b"\0"


def _read_nothing(handshake, data):
    """Do nothing, because both roles check it before the others."""


def _write_ticket(handshake):
    return handshake.shown_ticket


def _read_ticket(handshake, data):
    handshake.promised = True


ROWS = (
    (EXTENSION_EXTENDED_MASTER_SECRET, _write_empty, _read_master_secret, BOTH),
    (EXTENSION_MAX_FRAGMENT_LENGTH, _write_fragment_length, _read_fragment_length, BOTH),
    (EXTENSION_RECORD_SIZE_LIMIT, _write_size_limit, _read_size_limit, BOTH),
    (EXTENSION_CONNECTION_ID, _write_cid, _read_cid, BOTH),
    (EXTENSION_SERVER_NAME, _write_server_name, _read_server_name, CLIENT_HELLO),
    (EXTENSION_ALPN, _write_protocols, _read_protocols, BOTH),
    (EXTENSION_RENEGOTIATION_INFO, _write_renegotiation, _read_nothing, SERVER_HELLO),  # a client writes the SCSV
    (EXTENSION_SESSION_TICKET, _write_ticket, _read_ticket, BOTH),
)


def write_all(handshake, where):
    """Return [(type, data), ...] for our hello, a CLIENT_HELLO or a SERVER_HELLO."""
    found = []
    for kind, write, _, allowed in ROWS + handshake.credentials.extensions:
        if allowed & where and (where == CLIENT_HELLO or kind in handshake.theirs):
            data = write(handshake)
            if data is not None:
                found.append((kind, data))
    return found


def read_all(handshake, extensions):
    """Process {type: data} of the peer's hello; raises PeerError and FormatError."""
    handshake.theirs = extensions
    for kind, _, read, _ in ROWS + handshake.credentials.extensions:
        if kind in extensions:
            read(handshake, extensions[kind])
    if EXTENSION_CONNECTION_ID not in extensions:
        handshake.cid = None
