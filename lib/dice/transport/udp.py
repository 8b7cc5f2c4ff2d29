# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""UDP over IPv6 and IPv4, on the sockets of the system: the network that is used by default (see dice.transport).

CPython and MicroPython's unix port have all of it, by the module `udp_system`. On boards services and groups are on IPv4; a Pico W
can connect to a server over IPv6, an ESP32 cannot (docs/boards.md).
"""

import errno
import socket

from .._compat import const
from .._typing import TYPING
from ..codes import RECALL
from ..limits import RECEIVE_MAX_BYTES

if TYPING:
    from typing import Any

    from ..types import Address, Bytes

_EAFNOSUPPORT = const(97)
_ERRORS_MAX = const(16)
_IPPROTO_IP = const(0)
_WSAEWOULDBLOCK = const(10035)

_NOTHING = (errno.EAGAIN, _WSAEWOULDBLOCK)


def _open(
    to: "Address | None", port: "int | None" = None, host: "str | None" = None, group: "Any" = (), sock: "Any" = None
) -> "Any":
    """Return (socket, None) bound to `port` of ours, or (socket, address) to send to the address `to` alone; raises OSError.

    * `host`: our address on which to listen.
    * `group`: address, interface and hops of a group to send to; unless `port` is 0, the socket joins it and shares its port.
    * `sock`: the socket that has joined `group` before, which joins it again if it is no member any more.
    """
    if hasattr(socket, "SO_LINGER"):  # a computer, not a board
        from .udp_system import open_socket

        return open_socket(to, port, host, group, sock)
    if sock:
        _join(sock, group)
        return sock, None
    found: Any = socket.getaddrinfo(*to or (host or "0.0.0.0", port))[0]
    address = found[-1]
    if not address or (group and group[0][4:]):  # on an ESP32 an IPv6 address is None
        raise OSError(_EAFNOSUPPORT)
    sock = socket.socket(found[0], socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if to:
            if ":" in address[0]:  # on a Pico W a socket that is not bound is one of IPv4
                sock.bind(("::", 0))
            return sock, address
        if port and group:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        if port and group:
            _join(sock, group)
    except OSError:
        sock.close()
        raise
    return sock, None


def _join(sock: "Any", group: "Any") -> None:
    try:
        sock.setsockopt(_IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes(group[0]) + group[1])
    except OSError as error:  # on an ESP32 with number 6 alone, which says nothing
        raise OSError(*error.args[:1], "cannot join: connect Wi-Fi first")


class Unicast:
    """A session's transport to one address, or on one of our ports. `errors` counts what the network reported of single packets.

    Its socket is not connected, because a recall (dice.aio.session) may come from another address than that of the peer. All else
    that does is dropped.
    """

    def __init__(self, address: "Address | None", port: "int | None" = None, host: "str | None" = None, group: "Any" = ()) -> None:
        """Use `address`, (host, port), alone; or, if that is None, `port` of ours, 0 for any. Raises OSError.

        * `host`: our address on which to listen, by default all of IPv6 and IPv4; on a board all of IPv4.
        * `group`: for Multicast.
        """
        self.socket, self._peer = _open(address, port, host, group)
        self.errors = 0

    def send(self, datagram: "Bytes", address: "Any" = None) -> None:
        """Send; a datagram that the system refuses is lost, as on a bad link: the protocol above retransmits."""
        for _ in range(2):  # what is refused first may be an earlier datagram, by ICMP
            try:
                self.socket.sendto(datagram, address or self._peer)
                return
            except OSError:
                self.errors += 1

    def receive(self) -> "tuple[Any, Any]":
        """Return (datagram, address), or (None, None) if there is none; raises OSError. One that is dropped is returned empty.

        An error is counted as one of a packet, such as what ICMP, which anybody may have sent, says was refused: the system reports
        it once. An error that is there again each time is one of the socket, and is raised.
        """
        errors = 0
        while True:
            try:
                # MicroPython's readinto would allocate less, but joins datagrams until its buffer is full.
                datagram, source = self.socket.recvfrom(RECEIVE_MAX_BYTES)
                return datagram if self._peer in (None, source) or RECALL in datagram[:1] else b"", source
            except OSError as error:
                if error.errno in _NOTHING:
                    return None, None
                self.errors += 1
                errors += 1
                if errors == _ERRORS_MAX:
                    raise

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


class Multicast(Unicast):
    """A group's transport to one multicast address and port. `source` is the address of the last datagram received.

    A socket does not report the address that a datagram was sent to, so each group on a device needs a port of its own.
    """

    def __init__(self, address: bytes, port: int, interface: bytes = bytes(4), hops: int = 1) -> None:
        """Join the group at `address`, 4 or 16 bytes, and `port`. Raises OSError, on a board also if the address is one of IPv6, or
        if no interface is active, as before Wi-Fi is connected.

        * `interface`: where to listen, and to send: 4 bytes, an address of ours for IPv4, or for IPv6 the index of the interface
          in the byte order of the machine; by default the system chooses one by its routes. A computer knows names of interfaces:
          see dice.transport.udp_network.
        * `hops`: how many routers less one may pass on what is sent; a board has the default.
        """
        self.source: Any = None
        self._group = address, interface, hops
        self._port = port
        Unicast.__init__(self, None, port, None, self._group)
        text = socket.inet_ntop(socket.AF_INET6, address) if address[4:] else "%d.%d.%d.%d" % tuple(address)
        self._to = socket.getaddrinfo(text, port)[0][-1]

    def send(self, datagram: "Bytes") -> None:  # type: ignore[override]
        """Send to the group; raises OSError."""
        self.socket.sendto(datagram, self._to)

    def receive(self) -> "bytes | None":  # type: ignore[override]
        """Return the next datagram, or None; raises OSError. One that is too long is truncated, and still too long."""
        datagram, self.source = Unicast.receive(self)
        return datagram

    def renew(self) -> None:
        """Join again if the membership was lost, as when its interface went away and came back; raises OSError."""
        self.socket, _ = _open(None, self._port, None, self._group, self.socket)

    def answer(self, datagram: "Bytes", source: "Any") -> None:
        """Send to one member, at `source`; a datagram that the system refuses is lost."""
        Unicast.send(self, datagram, source)

    def ask(self, datagram: "Bytes") -> Unicast:
        """Send to the group; return a new Unicast, on which the answers arrive. Raises OSError."""
        channel = Unicast(None, 0, None, self._group)
        try:
            channel.socket.sendto(datagram, self._to)
        except OSError:
            channel.close()
            raise
        return channel
