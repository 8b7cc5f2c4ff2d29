# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv4 on a serial line, for boards on a bus that has a gateway: packets, and transports that aio.slip_host serves.

Packets (RFC 791, RFC 768) are framed by SLIP (RFC 1055), so any router that takes IP from a serial line can be the gateway;
`dicectl gateway` is one. Fragments and packets with a wrong header checksum are dropped. The checksum of UDP is neither sent nor
verified: a damaged datagram fails to authenticate. Addresses protect nothing, as on any network.

A record that can be recoded (dice.transport.recode) goes in a packet of 28 bytes less, which no router takes for IP, since it is of
version 0:

struct {                                       offset
    uint8 type = 1;                             0
    uint16 header_checksum;                     1    of the IPv4 packet that it stands for
    uint32 source; uint16 source_port;          3
    uint32 target; uint16 target_port;          9
    Recoded record;                            15
} RecodedPacket;
"""

from .._compat import const
from .._typing import TYPING
from ..errors import UsageError
from ..limits import IP_UDP_HEADERS_BYTES
from ..reasons import E_HOST
from .recode import recode, restore

if TYPING:
    from typing import Any

    from ..types import Bytes

_IP_BYTES = const(20)
_UDP = 17
_RECODED_MIN_BYTES = const(29)


def address_of(text: str) -> bytes:
    """Return the 4 bytes of an IPv4 address such as "10.77.0.5"; raises UsageError."""
    try:
        parts = bytes([int(part) for part in text.split(".")])
    except ValueError:
        parts = b""
    if len(parts) != 4:
        raise UsageError(E_HOST)
    return parts


def packet(source: bytes, target: bytes, data: "Bytes", records: bool = False) -> "Bytes":
    """Return the IPv4 packet that carries a datagram; `source` and `target` are address | port, 6 bytes.

    With `records` true, return a RecodedPacket if the datagram is a record that can be recoded.
    """
    head = _head(source, target, data)
    if records:
        record = recode(data)
        if len(record) < len(data):
            return b"\1" + head[10:12] + source + target + record
    return head + source[4:] + target[4:] + (len(data) + 8).to_bytes(2, "big") + b"\0\0" + data


def parse(frame: bytes) -> "tuple[bytes, bytes, bytes] | None":
    """Return (source, target, data) of a packet with a whole UDP datagram, or None; the addresses are as for packet()."""
    size = len(frame)
    if size >= _RECODED_MIN_BYTES and frame[0] == 1 and frame[15] & 128:
        parsed = frame[3:9], frame[9:15], restore(frame[15:])
        return parsed if _head(*parsed)[10:12] == frame[1:3] else None
    if size < IP_UDP_HEADERS_BYTES or frame[0] >> 4 != 4:
        return None
    udp = (frame[0] & 15) * 4
    if udp < _IP_BYTES or udp + 8 > size or frame[9] != _UDP or frame[6] & 0x3F or frame[7]:
        return None
    lengths = int.from_bytes(frame[2:4], "big"), udp + int.from_bytes(frame[udp + 4 : udp + 6], "big")
    if lengths != (size, size) or _sum(frame[:udp]) != 0xFFFF:
        return None
    return frame[12:16] + frame[udp : udp + 2], frame[16:20] + frame[udp + 2 : udp + 4], frame[udp + 8 :]


def _head(source: bytes, target: bytes, data: "Bytes") -> bytearray:
    """Return the IPv4 header of a packet."""
    head = bytearray(b"\x45\0\0\0\0\0\x40\0\x40\x11\0\0" + source[:4] + target[:4])  # one fragment, time to live 64
    head[2:4] = (IP_UDP_HEADERS_BYTES + len(data)).to_bytes(2, "big")
    head[10:12] = (_sum(head) ^ 0xFFFF).to_bytes(2, "big")
    return head


def _sum(header: "Bytes") -> int:
    """Return the ones' complement sum of 16-bit words (RFC 1071)."""
    total = 0
    for i in range(0, len(header), 2):
        total += header[i] << 8 | header[i + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class IpEndpoint:
    """A transport; `own` is the address | port that it receives on, `socket` the event that is set when a datagram arrives."""

    def __init__(self, host: "Any", event: "Any", own: bytes, to: "bytes | None") -> None:
        self.socket = event
        self.own = own
        self.source: bytes | None = None
        self.waiting: list[tuple[bytes, bytes]] = []
        self._host = host
        self._to = to

    def close(self) -> None:
        """Receive nothing more."""
        self._host.remove(self)

    def _next(self) -> "tuple[Any, Any]":
        """Return (datagram, address | port of its source), or (None, None); raises OSError."""
        self._host.check()
        if self.waiting:
            return self.waiting.pop(0)
        self.socket.clear()
        return None, None


class Unicast(IpEndpoint):
    """A session's transport; addresses are address | port, 6 bytes."""

    def send(self, datagram: "Bytes", address: "bytes | None" = None) -> None:
        """Send; a datagram that the line refuses is lost, as on a bad link."""
        try:
            self._host.send(self.own, address or self._to, datagram)
        except OSError:
            pass

    def receive(self) -> "tuple[Any, Any]":
        """Return (datagram, address), or (None, None) if there is none; raises OSError if the line has failed."""
        while True:
            datagram, source = self._next()
            if datagram is None or self._to is None or source == self._to:
                return datagram, source


class Multicast(IpEndpoint):
    """A group's transport; `source` is address | port, 6 bytes."""

    def send(self, datagram: "Bytes") -> None:
        """Send to the group; raises OSError."""
        self._host.send(self._host.address + self.own[4:], self.own, datagram)

    def receive(self) -> "bytes | None":
        """Return the next datagram, or None; raises OSError if the line has failed."""
        datagram, self.source = self._next()
        return datagram

    def answer(self, datagram: "Bytes", source: bytes) -> None:
        """Send to one member, at `source`; a datagram that the line refuses is lost."""
        try:
            self._host.send(self._host.address + self.own[4:], source, datagram)
        except OSError:
            pass  # lost, as on a bad link

    def ask(self, datagram: "Bytes") -> Unicast:
        """Send to the group; return a session's transport, on which the answers arrive. Raises OSError."""
        channel = self._host.Unicast(None)
        try:
            self._host.send(channel.own, self.own, datagram)
        except OSError:
            channel.close()
            raise
        return channel
