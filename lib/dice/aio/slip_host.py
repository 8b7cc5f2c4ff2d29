# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A device on a serial line that has a gateway: UDP over IPv4 over SLIP in place of the system's UDP.

network = SlipHost(UART(0, 115200, rxbuf=2500), "10.77.0.5")
connection = await dice.connect(("10.77.0.1", 5684), credentials, network=network)
"""

import asyncio
import os

from .._typing import TYPING
from ..limits import DATAGRAM_MAX_BYTES, IP_UDP_HEADERS_BYTES, SLIP_DATAGRAMS_MAX
from ..transport.slip import Serial
from ..transport.slip_ip import Multicast, Unicast, address_of, packet, parse
from .wait import repeat, wait

if TYPING:
    from typing import Any

    from ..transport.slip_ip import IpEndpoint
    from ..types import Address, Bytes


class SlipHost:
    """A `network` for connect, serve, join and ManagedGroup: the IP stack of one device on one line.

    * `dropped`: the frames that are no packet, and the datagrams for which a transport had no room.
    * `overrun`: how many exceptions have cost a datagram, such as a lack of memory or a failed line.
    * `error`: the last one of these exceptions.

    A task reads the line for as long as there are transports. When the line has failed for 5 s without a break, their receive()
    raises the error; the next transport that is made starts the task again.
    """

    def __init__(self, stream: "Any", address: str, recode: bool = True) -> None:
        """Use a line; raises UsageError.

        * `stream`: as for dice.transport.slip.Serial.
        * `address`: ours, as text: "10.77.0.5".
        * `recode`: whether to send records recoded, in 28 bytes less than IP. Devices and gateways of the time before, and routers
          that know IP alone, do not read them. Both forms are received in any case.
        """
        self.address = address_of(address)
        self.dropped = self.overrun = 0
        self.error: Exception | None = None
        self._line = Serial(stream, DATAGRAM_MAX_BYTES + IP_UDP_HEADERS_BYTES, False)
        self._recode = recode
        self._endpoints: list[IpEndpoint] = []
        self._task: asyncio.Task[None] | None = None
        self._error: OSError | None = None

    def Unicast(self, address: "Address | None", port: "int | None" = None) -> Unicast:
        """Return a transport to `address`, (host, port); if that is None, one on our `port` from anybody.

        Raises UsageError if host is not an IPv4 address: there is no name server on a line.
        """
        to = None if address is None else address_of(address[0]) + address[1].to_bytes(2, "big")
        return self._add(Unicast(self, asyncio.Event(), self.address + (port or self._free_port()).to_bytes(2, "big"), to))

    def Multicast(self, address: "Bytes", port: int) -> Multicast:
        """Return a transport to the group of an IPv4 multicast address, 4 bytes, and a port; raises UsageError for IPv6."""
        if address[4:]:
            address_of("::")  # raises UsageError
        return self._add(Multicast(self, asyncio.Event(), bytes(address) + port.to_bytes(2, "big"), None))

    def send(self, source: bytes, target: "Any", data: "Bytes") -> None:
        """Put a datagram on the line; both addresses are address | port, 6 bytes. Raises OSError."""
        self._line.send(packet(source, target, data, self._recode))

    def check(self) -> None:
        """Raise the OSError with which the line has failed."""
        if self._error:
            raise self._error

    def remove(self, endpoint: "IpEndpoint") -> None:
        """Hand no more datagrams to a transport; the task ends with the last one."""
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)
        if self._task and not self._endpoints:
            self._task.cancel()
            self._task = None

    def _add(self, endpoint: "Any") -> "Any":
        self._endpoints.append(endpoint)
        if self._task is None:
            self._error = None
            self._task = asyncio.create_task(self._run())
        return endpoint

    def _free_port(self) -> int:
        """Return a dynamic port (RFC 6335, section 6) that no transport has: a random one, or the next free one after it."""
        taken = {int.from_bytes(endpoint.own[4:], "big") for endpoint in self._endpoints}
        port = int.from_bytes(os.urandom(2), "big") | 0xC000
        while port in taken:
            port = (port + 1 & 0xFFFF) | 0xC000
        return port

    async def _run(self) -> None:
        try:
            await repeat(self, self._step)
        except OSError as error:
            self._error = error
            self._task = None  # the next transport starts it again
            for endpoint in self._endpoints:
                endpoint.socket.set()

    async def _step(self) -> None:
        """Receive one frame, or wait for one."""
        try:
            frame = self._line.receive()
        except MemoryError:
            self.dropped += 1
            raise
        if frame is None:
            await wait(self._line.socket, None)
        else:
            self._deliver(frame)

    def _deliver(self, frame: bytes) -> None:
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
