# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv4 on a serial line, for boards on a bus that has a gateway; without the task that reads the line: aio/slip_host.

Packets (RFC 791, RFC 768) are framed by SLIP (RFC 1055), so any router that takes IP from a serial line can be the gateway;
`dicectl gateway` is one. Fragments and packets with a wrong header checksum are dropped. The checksum of UDP is neither sent nor
verified: a damaged datagram fails to authenticate. Addresses protect nothing, as on any network.
"""

from .._compat import const
from .._typing import TYPING
from ..errors import UsageError
from ..limits import DATAGRAM_MAX_BYTES, IP_UDP_HEADERS_BYTES, SLIP_DATAGRAMS_MAX
from ..reasons import E_HOST
from .slip import Serial

if TYPING:
    from collections.abc import Callable
    from typing import Any

    from ..types import Address, Bytes

_IP_BYTES = const(20)
_UDP = 17


def address_of(text: str) -> bytes:
    """Return the 4 bytes of an IPv4 address such as "10.77.0.5"; raises UsageError."""
    try:
        parts = bytes([int(part) for part in text.split(".")])
    except ValueError:
        parts = b""
    if len(parts) != 4:
        raise UsageError(E_HOST)
    return parts


def packet(source: bytes, target: bytes, data: "Bytes") -> bytearray:
    """Return the IPv4 packet that carries a datagram; `source` and `target` are address | port, 6 bytes."""
    length = IP_UDP_HEADERS_BYTES + len(data)
    head = bytearray(b"\x45\0\0\0\0\0\x40\0\x40\x11\0\0" + source[:4] + target[:4])  # one fragment, time to live 64
    head[2:4] = length.to_bytes(2, "big")
    head[10:12] = (_sum(head) ^ 0xFFFF).to_bytes(2, "big")
    return head + source[4:] + target[4:] + (length - _IP_BYTES).to_bytes(2, "big") + b"\0\0" + data


def parse(frame: bytes) -> "tuple[bytes, bytes, bytes] | None":
    """Return (source, target, data) of an IPv4 packet with a whole UDP datagram, or None; the addresses are as for packet()."""
    size = len(frame)
    if size < IP_UDP_HEADERS_BYTES or frame[0] >> 4 != 4:
        return None
    udp = (frame[0] & 15) * 4
    if udp < _IP_BYTES or udp + 8 > size or frame[9] != _UDP or frame[6] & 0x3F or frame[7]:
        return None
    lengths = int.from_bytes(frame[2:4], "big"), udp + int.from_bytes(frame[udp + 4 : udp + 6], "big")
    if lengths != (size, size) or _sum(frame[:udp]) != 0xFFFF:
        return None
    return frame[12:16] + frame[udp : udp + 2], frame[16:20] + frame[udp + 2 : udp + 4], frame[udp + 8 :]


def _sum(header: "Bytes") -> int:
    """Return the ones' complement sum of 16-bit words (RFC 1071)."""
    total = 0
    for i in range(0, len(header), 2):
        total += header[i] << 8 | header[i + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Host:
    """The IP stack of one device on one line; Unicast() and Multicast() make transports, as those of dice.transport.udp.

    receive() has to be called whenever the line is readable: it hands each datagram to the endpoint that it is for. `dropped`
    counts the frames that are no packet, and the datagrams for which an endpoint had no room.
    """

    def __init__(self, stream: "Any", address: str, event: "Callable[[], Any]", random: "Callable[[int], bytes]") -> None:
        """`stream` is as for dice.transport.slip.Serial; `address` is text, such as "10.77.0.5"; raises UsageError.

        `event()` returns a new object with set() and clear() that tasks can wait for, such as an asyncio.Event; `random(n)` returns
        n random bytes.
        """
        self.address = address_of(address)
        self.dropped = 0
        self.line = Serial(stream, DATAGRAM_MAX_BYTES + IP_UDP_HEADERS_BYTES)
        self.endpoints: list[_Endpoint] = []
        self._event = event
        self._random = random
        self._error: OSError | None = None

    def Unicast(self, address: "Address | None", port: "int | None" = None) -> "_Unicast":
        """Return a transport to `address`, (host, port); if that is None, one on our `port` from anybody.

        Raises UsageError if host is not an IPv4 address: there is no name server on a line.
        """
        to = None if address is None else address_of(address[0]) + address[1].to_bytes(2, "big")
        endpoint = _Unicast(self, self._event(), self.address + (port or self._free_port()).to_bytes(2, "big"), to)
        self.add(endpoint)
        return endpoint

    def Multicast(self, address: "Bytes", port: int) -> "_Multicast":
        """Return a transport to the group of an IPv4 multicast address, 4 bytes, and a port."""
        endpoint = _Multicast(self, self._event(), bytes(address) + port.to_bytes(2, "big"), None)
        self.add(endpoint)
        return endpoint

    def receive(self) -> bool:
        """Read one frame and hand it out; return False if none is complete. Raises OSError."""
        frame = self.line.receive()
        if frame is None:
            return False
        parsed = parse(frame)
        if parsed is None:
            self.dropped += 1
            return True
        source, target, data = parsed
        for endpoint in self.endpoints:
            if endpoint.own == target:
                if len(endpoint.waiting) < SLIP_DATAGRAMS_MAX:
                    endpoint.waiting.append((data, source))
                    endpoint.socket.set()
                else:
                    self.dropped += 1
        return True

    def send(self, source: bytes, target: "Any", data: "Bytes") -> None:
        """Put a datagram on the line; both addresses are address | port, 6 bytes. Raises OSError."""
        self.line.send(packet(source, target, data))

    def fail(self, error: OSError) -> None:
        """Have every endpoint raise `error`, an OSError, when it receives."""
        self._error = error
        for endpoint in self.endpoints:
            endpoint.socket.set()

    def check(self) -> None:
        """Raise the OSError with which the line has failed."""
        if self._error:
            raise self._error

    def add(self, endpoint: "_Endpoint") -> None:
        """Hand datagrams to an endpoint from now on."""
        self.endpoints.append(endpoint)

    def remove(self, endpoint: "_Endpoint") -> None:
        """Hand no more datagrams to an endpoint."""
        if endpoint in self.endpoints:
            self.endpoints.remove(endpoint)

    def _free_port(self) -> int:
        """Return a dynamic port (RFC 6335, section 6) that no endpoint has: a random one, or the next free one after it."""
        taken = {int.from_bytes(endpoint.own[4:], "big") for endpoint in self.endpoints}
        port = int.from_bytes(self._random(2), "big") | 0xC000
        while port in taken:
            port = (port + 1 & 0xFFFF) | 0xC000
        return port


class _Endpoint:
    """A transport; `own` is the address | port that it receives on, `socket` the event that is set when a datagram arrives."""

    def __init__(self, host: Host, event: "Any", own: bytes, to: "bytes | None") -> None:
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


class _Unicast(_Endpoint):
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


class _Multicast(_Endpoint):
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

    def ask(self, datagram: "Bytes") -> _Unicast:
        """Send to the group; return a session's transport, on which the answers arrive. Raises OSError."""
        channel = self._host.Unicast(None)
        try:
            self._host.send(channel.own, self.own, datagram)
        except OSError:
            channel.close()
            raise
        return channel
