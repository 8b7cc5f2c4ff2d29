# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv4 on a serial line: what dice.transport.udp is on a network, for boards on a bus that has a gateway (row 6).

host = Host(UART(0, 115200, rxbuf=2500), "10.77.0.5")
connection = await dice.connect(address, credentials, transport=host.Unicast(address))

Packets (RFC 791, RFC 768) are framed by SLIP (RFC 1055), so that whatever routes IP over a serial line can be the gateway;
`dicectl gateway` is one. What is received as fragments, or with a checksum of the IP header that does not fit, is dropped. UDP's
own checksum is neither sent nor looked at: damage fails the tag of AES-CCM. Addresses protect nothing, here as on any network.
"""

import asyncio
import os

from .._compat import const
from ..aio import wait as pump
from ..errors import UsageError
from ..limits import DATAGRAM_MAX_BYTES, IP_UDP_HEADERS_BYTES, SLIP_DATAGRAMS_MAX
from ..reasons import E_HOST
from .slip import Serial

_IP_BYTES = const(20)
_UDP = 17


def address_of(text):
    """Return the 4 bytes of an IPv4 address such as "10.77.0.5"; raises UsageError."""
    try:
        parts = bytes([int(part) for part in text.split(".")])
    except ValueError:
        parts = b""
    if len(parts) != 4:
        raise UsageError(E_HOST)
    return parts


def packet(source, target, data):
    """Return the IPv4 packet that carries a datagram; `source` and `target` are address | port, 6 bytes."""
    length = IP_UDP_HEADERS_BYTES + len(data)
    head = bytearray(b"\x45\0\0\0\0\0\x40\0\x40\x11\0\0" + source[:4] + target[:4])  # one fragment, time to live 64
    head[2:4] = length.to_bytes(2, "big")
    head[10:12] = (_sum(head) ^ 0xFFFF).to_bytes(2, "big")
    return head + source[4:] + target[4:] + (length - _IP_BYTES).to_bytes(2, "big") + b"\0\0" + data


def parse(frame):
    """Return (source, target, data) of an IPv4 packet with a whole UDP datagram, or None; both addresses as for packet()."""
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


def _sum(header):
    """Return the ones' complement sum of 16-bit words (RFC 1071)."""
    total = 0
    for i in range(0, len(header), 2):
        total += header[i] << 8 | header[i + 1]
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


class Host:
    """One device's IP over one line; Unicast() and Multicast() make transports, as those of dice.transport.udp do.

    `stream` is as for dice.transport.slip.Serial, `address` text; `dropped` counts what is no packet, and what nobody took in time.
    """

    def __init__(self, stream, address):
        self.address = address_of(address)
        self.dropped = 0
        self._line = Serial(stream, DATAGRAM_MAX_BYTES + IP_UDP_HEADERS_BYTES)
        self._endpoints = []
        self._task = None
        self._error = None

    def Unicast(self, address, port=None):
        """Talk to `address`, (host, port); or, where that is None, listen on `port`; raises UsageError for a name."""
        to = None if address is None else address_of(address[0]) + address[1].to_bytes(2, "big")
        return self._add(_Unicast(self, self.address + (port or self._free_port()).to_bytes(2, "big"), to))

    def Multicast(self, address, port):
        """Take part in a group; `address` has 4 bytes."""
        return self._add(_Multicast(self, bytes(address) + port.to_bytes(2, "big"), None))

    def send(self, source, target, data):
        """Put a datagram on the line; raises OSError."""
        self._line.send(packet(source, target, data))

    def check(self):
        """Raise OSError where the line has failed."""
        if self._error:
            raise self._error

    def remove(self, endpoint):
        """Let go of an endpoint, and of the task that reads the line with the last one."""
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)
        if self._task and not self._endpoints:
            self._task.cancel()
            self._task = None

    def _add(self, endpoint):
        self._endpoints.append(endpoint)
        if self._task is None:
            self._error = None
            self._task = asyncio.create_task(self._run())
        return endpoint

    def _free_port(self):
        """Return one of the dynamic ports (RFC 6335) that no endpoint has: a random one, or one that follows it."""
        taken = {int.from_bytes(endpoint.own[4:], "big") for endpoint in self._endpoints}
        port = int.from_bytes(os.urandom(2), "big") | 0xC000
        while port in taken:
            port = (port + 1 & 0xFFFF) | 0xC000
        return port

    async def _run(self):
        try:
            while True:
                try:
                    frame = self._line.receive()
                    if frame is None:
                        await pump.wait(self._line.socket, None)
                    else:
                        self._hand_out(frame)
                except MemoryError:  # a datagram is lost, as on a bad link; the next may find room
                    self.dropped += 1
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0)  # a flood must not starve the other tasks
        except OSError as error:
            self._error = error
            self._task = None  # the next endpoint tries anew
            for endpoint in self._endpoints:
                endpoint.socket.set()

    def _hand_out(self, frame):
        parsed = parse(frame)
        if parsed is None:
            self.dropped += 1
            return
        source, target, data = parsed
        for endpoint in self._endpoints:
            if endpoint.own == target:
                if len(endpoint.waiting) < SLIP_DATAGRAMS_MAX:
                    endpoint.waiting.append((data, source))
                    endpoint.socket.set()
                else:
                    self.dropped += 1


class _Endpoint:
    """A transport; `own` is the address | port that it receives on, `socket` an event that pump.wait takes."""

    def __init__(self, host, own, to):
        self.socket = asyncio.Event()
        self.own = own
        self.waiting = []
        self._host = host
        self._to = to

    def close(self):
        """Take no more."""
        self._host.remove(self)

    def _take(self):
        """Return (datagram, address | port of its source), or (None, None); raises OSError."""
        self._host.check()
        if self.waiting:
            return self.waiting.pop(0)
        self.socket.clear()
        return None, None


class _Unicast(_Endpoint):
    """As dice.transport.udp.Unicast; addresses are address | port."""

    def send(self, datagram, address=None):
        """Send; what the line refuses is lost as on a bad link."""
        try:
            self._host.send(self.own, address or self._to, datagram)
        except OSError:
            pass

    def receive(self):
        """Return (datagram, address) of the next datagram, or (None, None); raises OSError where the line has failed."""
        while True:
            datagram, source = self._take()
            if datagram is None or self._to is None or source == self._to:
                return datagram, source


class _Multicast(_Endpoint):
    """As dice.transport.udp.Multicast."""

    source = None

    def send(self, datagram):
        """Send to the group; raises OSError."""
        self._host.send(self._host.address + self.own[4:], self.own, datagram)

    def receive(self):
        """Return the next datagram, or None; raises OSError where the line has failed."""
        datagram, self.source = self._take()
        return datagram

    def answer(self, datagram, source):
        """Send to one address only."""
        try:
            self._host.send(self._host.address + self.own[4:], source, datagram)
        except OSError:
            pass  # lost, as on a bad link

    def ask(self, datagram):
        """Send to the group; return a new transport, to which the answers come. Raises OSError."""
        channel = self._host.Unicast(None)
        try:
            self._host.send(channel.own, self.own, datagram)
        except OSError:
            channel.close()
            raise
        return channel
