# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Ephemeral ECDH on the curve secp256r1 (P-256), for the key exchanges that use it (RFC 8422, sections 5.1 to 5.10).

    struct { NamedCurveList named_curve_list<2..2^16-1>; } supported_groups;
    struct { ECPointFormat ec_point_format_list<1..2^8-1>; } ec_point_formats;

    struct {                                                struct { opaque point<1..2^8-1>; } ECPoint;
        ECCurveType curve_type = named_curve(3);
        NamedCurve namedcurve = secp256r1(23);              struct { ECPoint ecdh_Yc; } ClientECDiffieHellmanPublic;
        ECPoint public;
    } ServerECDHParams;

Points are uncompressed: 65 bytes, 4 | X | Y. Other curves, explicit ones, other forms of points, and points that are not on the
curve end in the alert illegal_parameter, and what cannot be decoded in decode_error.

A private key serves one handshake, whose key exchange keeps it, and is overwritten once it was used. That of a handshake that fails
earlier has protected nothing.
"""

from .._compat import const
from ..codes import (
    ALERT_HANDSHAKE_FAILURE,
    ALERT_ILLEGAL_PARAMETER,
    EXTENSION_EC_POINT_FORMATS,
    EXTENSION_SUPPORTED_GROUPS,
)
from ..crypto import curve
from ..errors import FormatError, PeerError
from ..reasons import E_CURVE, E_VALUE
from ..wire import Reader
from .extensions import BOTH, CLIENT_HELLO

_NAMED_CURVE = b"\3\0\x17"  # secp256r1
_SECP256R1 = const(23)
_UNCOMPRESSED = const(4)  # the first byte of a point
_POINT_BYTES = const(65)


def lists(reader, code):
    """Read a list of code points of 2 bytes, such as a NamedCurveList; return whether `code` is one of them."""
    codes = Reader(reader.vector(2))
    found = False
    while codes.more():
        found = codes.uint(2) == code or found
    return found


def serves(handshake):
    """Return whether a server can use P-256 with this client: it names the curve, or none at all (RFC 8422, section 4)."""
    data = handshake.theirs.get(EXTENSION_SUPPORTED_GROUPS)
    if data is None:
        return True
    reader = Reader(data)
    found = lists(reader, _SECP256R1)
    reader.end()
    return found


def _write_groups(handshake):
    return b"\0\2\0\x17"


def _read_groups(handshake, data):
    if not handshake.is_client and not serves(handshake):  # a client ignores the list of a server
        raise PeerError(ALERT_HANDSHAKE_FAILURE, E_CURVE)


def _write_formats(handshake):
    return b"\1\0"


def _read_formats(handshake, data):
    reader = Reader(data)
    formats = reader.vector(1)
    reader.end()
    if 0 not in formats:  # uncompressed, which all have to know (RFC 8422, section 5.1.2)
        raise PeerError(ALERT_ILLEGAL_PARAMETER, E_CURVE)


EXTENSIONS = (
    (EXTENSION_SUPPORTED_GROUPS, _write_groups, _read_groups, CLIENT_HELLO),
    (EXTENSION_EC_POINT_FORMATS, _write_formats, _read_formats, BOTH),
)


def generate(handshake):
    """Return a new private key, a bytearray for shared(), and its point."""
    private = bytearray(curve.generate(handshake.random))
    return private, curve.public(private)


def public(point):
    """Return the ClientECDiffieHellmanPublic of our point."""
    return bytes((len(point),)) + point


def params(point):
    """Return the ServerECDHParams of our point."""
    return _NAMED_CURVE + public(point)


def read_public(reader):
    """Return the point of a ClientECDiffieHellmanPublic, which `reader` is in front of; shared() finds out if it is on the curve.

    Raises PeerError, FormatError.
    """
    point = reader.vector(1)
    if not point:
        raise FormatError(E_VALUE)
    _require(len(point) == _POINT_BYTES and point[0] == _UNCOMPRESSED)
    return point


def read_params(reader):
    """Return the point of a ServerECDHParams, as read_public() does."""
    _require(reader.uint(1) == _NAMED_CURVE[0])
    _require(reader.uint(2) == _SECP256R1)
    return read_public(reader)


def shared(private, point):
    """Return the secret that our private key and the other side's point share, 32 bytes, and overwrite the private key.

    Raises PeerError if the point is not on the curve.
    """
    try:
        return curve.ecdh(private, point)
    except ValueError:
        _require(False)
    finally:
        for i in range(len(private)):
            private[i] = 0


def _require(right):
    if not right:
        raise PeerError(ALERT_ILLEGAL_PARAMETER, E_CURVE)
