# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP messages (RFC 7252, section 3).

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
|Ver| T |  TKL  |      Code     |          Message ID           |
|   Token (TKL bytes) ... |  Options ...  |1 1 1 1 1 1 1 1|  Payload ...
"""

from .._compat import const
from .._typing import TYPING
from ..errors import FormatError
from ..limits import COAP_OPTIONS_MAX
from ..reasons import E_COAP
from .codes import URI_PATH

if TYPING:
    from collections.abc import Sequence

    from ..types import Option

_VERSION = const(1)
_TOKEN_MAX_BYTES = const(8)
_PAYLOAD_MARKER = const(0xFF)
_ONE_BYTE = const(13)  # four bits of a delta or a length: 13 plus one byte
_TWO_BYTES = const(14)  # 269 plus two bytes
_RESERVED = const(15)


def __getattr__(name: str) -> int:
    """Return a constant of coap.codes."""
    from . import codes

    return getattr(codes, name)


class Message:
    """One message: `kind` is its type (CON, NON, ACK or RST), `code` its method or response code, `message_id` has 16 bits.

    `token`, at most 8 bytes, and `payload` are bytes. `options` are (number, bytes) in any order; options with the same number are
    encoded in the order in which they stand.
    """

    def __init__(
        self,
        kind: int,
        code: int,
        message_id: int,
        token: bytes = b"",
        options: "Sequence[Option]" = (),
        payload: bytes = b"",
    ) -> None:
        self.kind = kind
        self.code = code
        self.message_id = message_id
        self.token = token
        self.options = options
        self.payload = payload

    def option(self, number: int) -> "bytes | None":
        """Return the value of the first option with this number, or None."""
        for found, value in self.options:
            if found == number:
                return value
        return None

    def path(self) -> str:
        """Return the Uri-Path as text, such as "a/b"; raises UnicodeError."""
        return b"/".join([value for number, value in self.options if number == URI_PATH]).decode()

    def encode(self) -> bytearray:
        """Return the bytes of the message."""
        data = bytearray((_VERSION << 6 | self.kind << 4 | len(self.token), self.code))
        data.extend(self.message_id.to_bytes(2, "big"))
        data.extend(self.token)
        before = 0
        options = self.options
        for i in sorted(range(len(options)), key=lambda i: (options[i][0], i)):  # MicroPython's sort is not stable
            number, value = options[i]
            delta, more = _shortened(number - before)
            length, longer = _shortened(len(value))
            data.append(delta << 4 | length)
            data.extend(more + longer + value)
            before = number
        if self.payload:
            data.append(_PAYLOAD_MARKER)
            data.extend(self.payload)
        return data


def decode(data: bytes) -> Message:
    """Return the Message in a datagram; raises FormatError for a message format error (section 3), and for too many options.

    Options cost memory and time out of proportion to their bytes, so there are COAP_OPTIONS_MAX at most.
    """
    if len(data) < 4 or data[0] >> 6 != _VERSION:
        raise FormatError(E_COAP)
    code = data[1]
    at = 4 + (data[0] & 0xF)
    if at > 4 + _TOKEN_MAX_BYTES or at > len(data) or (code == 0 and len(data) > 4) or code >> 5 in (1, 6, 7):
        raise FormatError(E_COAP)
    token = bytes(data[4:at])
    options: list[Option] = []
    number = 0
    while at < len(data):
        first = data[at]
        at += 1
        if first == _PAYLOAD_MARKER:
            if at == len(data):
                raise FormatError(E_COAP)
            break
        delta, at = _extended(data, at, first >> 4)
        length, at = _extended(data, at, first & 0xF)
        number += delta
        if at + length > len(data) or len(options) == COAP_OPTIONS_MAX:
            raise FormatError(E_COAP)
        options.append((number, bytes(data[at : at + length])))
        at += length
    return Message(data[0] >> 4 & 3, code, data[2] << 8 | data[3], token, options, bytes(data[at:]))


def uint(value: int) -> bytes:
    """Return the value of an option of format uint: as few bytes as possible (section 3.2)."""
    data = b""
    while value:
        data = bytes((value & 0xFF,)) + data
        value >>= 8
    return data


def path_options(path: str) -> "list[Option]":
    """Return the Uri-Path options of "a/b"."""
    return [(URI_PATH, part.encode()) for part in path.split("/")] if path else []


def _shortened(value: int) -> "tuple[int, bytes]":
    """Return (the four bits of a delta or a length, the bytes that extend them) (section 3.1)."""
    if value < 13:
        return value, b""
    if value < 269:
        return _ONE_BYTE, bytes((value - 13,))
    return _TWO_BYTES, (value - 269).to_bytes(2, "big")


def _extended(data: bytes, at: int, value: int) -> "tuple[int, int]":
    """Return (the delta or the length whose four bits are `value`, the index behind it); raises FormatError."""
    if value < _ONE_BYTE:
        return value, at
    more = value - 12
    if value == _RESERVED or at + more > len(data):
        raise FormatError(E_COAP)
    extra = int.from_bytes(data[at : at + more], "big")
    return extra + (13 if more == 1 else 269), at + more
