# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP transports (row 6): objects with `socket` to wait on, send(datagram), receive() and close()."""

import errno
import socket

from .._compat import const
from ..limits import DATAGRAM_MAX_BYTES

_IPPROTO_IP = const(0)
_ENETUNREACH = const(101)
_WSAEWOULDBLOCK = const(10035)
_WSAECONNRESET = const(10054)

# What receiving says when there is nothing, or when anybody made the network say that an earlier datagram was refused.
_NOTHING = (errno.EAGAIN, errno.ECONNREFUSED, errno.EHOSTUNREACH, _ENETUNREACH, _WSAEWOULDBLOCK, _WSAECONNRESET)


class Multicast:
    """Sends to one IPv4 multicast address and port, and receives what is sent to it.

    `address` and `interface` have 4 bytes; an interface of zeros lets the system choose by its routes. A socket does not say
    to which address a datagram was sent, so each group on a device needs a port of its own. `source` is where the
    last one came from.
    """

    source = None

    def __init__(self, address, port, interface=bytes(4)):
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

    def send(self, datagram):
        """Send to the group; raises OSError."""
        self.socket.sendto(datagram, self._to)

    def receive(self):
        """Return the next datagram, or None; one that is too long comes cut, but still too long."""
        try:
            # MicroPython's readinto would allocate less, but runs datagrams together until its buffer is full.
            datagram, self.source = self.socket.recvfrom(DATAGRAM_MAX_BYTES + 1)
            return datagram
        except OSError as error:
            if error.errno in _NOTHING:
                return None
            raise

    def answer(self, datagram, source):
        """Send to one address only."""
        try:
            self.socket.sendto(datagram, source)
        except OSError:
            pass  # lost, as on a bad link

    def ask(self, datagram):
        """Send to the group; return a new Unicast, to which the answers come. Raises OSError."""
        channel = Unicast(None, 0)
        channel.send(datagram, self._to)
        return channel

    def close(self):
        """Close the socket."""
        self.socket.close()


class Unicast:
    """Sends to and receives from one address, or on a port of ours from any.

    receive() returns (datagram, address), of which the datagram is None where there is none; send() takes an address where
    there is more than one.
    """

    def __init__(self, address, port=None):
        """Talk to `address`, (host, port); or, where that is None, listen on `port` of all IPv4 interfaces."""
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

    def send(self, datagram, address=None):
        """Send; what the network refuses, for whatever reason, is lost as on a bad link: who waits for an answer asks again."""
        try:
            if address is None:
                self.socket.send(datagram)
            else:
                self.socket.sendto(datagram, address)
        except OSError:
            pass

    def receive(self):
        """Return (datagram, address) of the next datagram, or (None, None)."""
        try:
            return self.socket.recvfrom(DATAGRAM_MAX_BYTES + 1)
        except OSError as error:
            if error.errno in _NOTHING:
                return None, None
            raise

    def close(self):
        """Close the socket."""
        self.socket.close()
