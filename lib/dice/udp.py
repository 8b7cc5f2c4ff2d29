# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP transports (row 6): objects with `socket` to wait on, send(datagram), receive() and close()."""

import errno
import socket

from dice._compat import const
from dice.limits import DATAGRAM_MAX_BYTES

_IPPROTO_IP = const(0)


class Multicast:
    """Sends to one IPv4 multicast address and port, and receives what is sent to it.

    `address` and `interface` have 4 bytes; an interface of zeros lets the system choose by its routes. A socket does not say
    to which address a datagram was sent, so each group on a device needs a port of its own.
    """

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
            return self.socket.recv(DATAGRAM_MAX_BYTES + 1)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return None
            raise

    def close(self):
        """Close the socket."""
        self.socket.close()
