# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv4, on the sockets of the system: the network that is used by default (see dice.transport)."""

import errno
import socket

from .._compat import const
from .._typing import TYPING
from ..limits import DATAGRAM_MAX_BYTES

if TYPING:
    from typing import Any

    from ..types import Address, Bytes

_IPPROTO_IP = const(0)
_ENETUNREACH = const(101)
_WSAEWOULDBLOCK = const(10035)
_WSAECONNRESET = const(10054)

# Errors of receiving when no datagram is there, or when an ICMP message, which anybody may have sent, refused an earlier one.
_NOTHING = (errno.EAGAIN, errno.ECONNREFUSED, errno.EHOSTUNREACH, _ENETUNREACH, _WSAEWOULDBLOCK, _WSAECONNRESET)


class Multicast:
    """A group's transport to one IPv4 multicast address and port. `source` is the address of the last datagram received.

    A socket does not report the address that a datagram was sent to, so each group on a device needs a port of its own.
    """

    def __init__(self, address: bytes, port: int, interface: bytes = bytes(4)) -> None:
        """`address` and `interface` have 4 bytes; the default lets the system choose an interface by its routes. Raises OSError."""
        self.source: Any = None
        text = "%d.%d.%d.%d" % tuple(address)
        self._to = socket.getaddrinfo(text, port)[0][-1]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
            self.socket.setsockopt(_IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes(address) + interface)
        except OSError:
            self.socket.close()
            raise

    def send(self, datagram: "Bytes") -> None:
        """Send to the group; raises OSError."""
        self.socket.sendto(datagram, self._to)

    def receive(self) -> "bytes | None":
        """Return the next datagram, or None; raises OSError. One that is too long is truncated, and still too long."""
        try:
            # MicroPython's readinto would allocate less, but joins datagrams until its buffer is full.
            datagram, self.source = self.socket.recvfrom(DATAGRAM_MAX_BYTES + 1)
            return datagram
        except OSError as error:
            if error.errno in _NOTHING:
                return None
            raise

    def answer(self, datagram: "Bytes", source: "Any") -> None:
        """Send to one member, at `source`; a datagram that the system refuses is lost."""
        try:
            self.socket.sendto(datagram, source)
        except OSError:
            pass  # lost, as on a bad link

    def ask(self, datagram: "Bytes") -> "Unicast":
        """Send to the group; return a new Unicast, on which the answers arrive. Raises OSError."""
        channel = Unicast(None, 0)
        channel.send(datagram, self._to)
        return channel

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Unicast:
    """A session's transport to one address, or on one of our ports."""

    def __init__(self, address: "Address | None", port: "int | None" = None) -> None:
        """Use `address`, (host, port), alone; or, if that is None, `port` of all IPv4 interfaces, 0 for any. Raises OSError."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            if address is None:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self.socket.bind(socket.getaddrinfo("0.0.0.0", port)[0][-1])
            else:
                self.socket.connect(socket.getaddrinfo(address[0], address[1], socket.AF_INET)[0][-1])
        except OSError:
            self.socket.close()
            raise

    def send(self, datagram: "Bytes", address: "Any" = None) -> None:
        """Send; a datagram that the system refuses is lost, as on a bad link: the protocol above retransmits."""
        try:
            if address is None:
                self.socket.send(datagram)
            else:
                self.socket.sendto(datagram, address)
        except OSError:
            pass

    def receive(self) -> "tuple[Any, Any]":
        """Return (datagram, address), or (None, None) if there is none; raises OSError."""
        try:
            return self.socket.recvfrom(DATAGRAM_MAX_BYTES + 1)
        except OSError as error:
            if error.errno in _NOTHING:
                return None, None
            raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
