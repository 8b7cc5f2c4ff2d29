# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How dice.transport.udp opens the sockets of a computer, on CPython and MicroPython's unix port; boards do not need it.

The numbers of options are those of Linux, for MicroPython, which has no names for them.
"""

import errno
import socket
import sys

from .._typing import TYPING

if TYPING:
    from typing import Any

    from ..types import Address

_IPPROTO_IPV6 = 41
_PEEK = 2
_WSAEWOULDBLOCK = 10035
_SERVER_BUFFER_BYTES = 1 << 23  # 13,000 short datagrams, as Linux counts them: one of each device while the program has other work
_BUFFERS = (("SO_RCVBUF", 8, 33), ("SO_SNDBUF", 7, 32))  # the last one, of Linux, is that of root, who may exceed rmem_max
_V6ONLY = ("IPV6_V6ONLY", 26)
_IPV4 = (0, ("IP_ADD_MEMBERSHIP", 35), ("IP_MULTICAST_IF", 32), ("IP_MULTICAST_TTL", 33))
_IPV6 = (_IPPROTO_IPV6, ("IPV6_JOIN_GROUP", 20), ("IPV6_MULTICAST_IF", 17), ("IPV6_MULTICAST_HOPS", 18))


def open_socket(to: "Address | None", port: "int | None", host: "str | None", group: "Any", sock: "Any" = None) -> "Any":
    """Return (socket, address or None) as dice.transport.udp describes it; raises OSError."""
    if sock and _is_member(sock, *group):
        return sock, None
    if to:
        return _first(to[0], to[1], _reach)
    if group:
        made = _first("::" if group[0][4:] else "0.0.0.0", port, lambda sock, family, address: _join(sock, address, port, *group))
        if sock and not _is_empty(sock):  # what it has will be received, and it is replaced the next time
            made, sock = (sock, None), made[0]
        if sock:
            sock.close()
        return made
    try:
        return _first(host or "::", port, _listen)
    except OSError as error:
        if host or error.errno == errno.EADDRINUSE:
            raise
    return _first("0.0.0.0", port, _listen)  # a computer without IPv6


def _first(host: str, port: "int | None", use: "Any") -> "Any":
    """Return (socket, what use() returns) of the first address of `host` with which `use(socket, family, address)` succeeds.

    Addresses of IPv4 are tried first: a server that has both may serve IPv4 alone, and over UDP one learns of that by waiting.
    Raises the OSError of the last address.
    """
    failure: Any = None
    found: Any = socket.getaddrinfo(host, port)
    ipv4 = [entry for entry in found if entry[0] == socket.AF_INET]
    for family, _, _, _, address in ipv4 + [entry for entry in found if entry not in ipv4]:
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setblocking(False)
            return sock, use(sock, family, address)
        except OSError as error:
            failure = error
            if sock:
                sock.close()
    raise failure


def _is_empty(sock: "Any") -> bool:
    """Return whether no datagram waits in a socket. All that come later are in the one, too, that has joined its group since."""
    try:
        sock.recv(1, _PEEK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, _WSAEWOULDBLOCK)
    return False


def _reach(sock: "Any", family: int, address: "Any") -> "Any":
    """Bind a socket to any port, and return the address to send to; raises OSError if there is no route to it."""
    probe = socket.socket(family, socket.SOCK_DGRAM)
    try:
        probe.connect(address)
    finally:
        probe.close()
    sock.bind(socket.getaddrinfo("::" if family == socket.AF_INET6 else "0.0.0.0", 0)[0][-1])
    return address


def _listen(sock: "Any", family: int, address: "Any") -> None:
    """Bind a socket, one of IPv6 for IPv4 too: systems differ in what they do by default."""
    if family == socket.AF_INET6:
        sock.setsockopt(_IPPROTO_IPV6, _number(*_V6ONLY), 0)
    for name, on_linux, forced in _BUFFERS:
        for option in (forced, _number(name, on_linux)) if sys.platform == "linux" else (_number(name, on_linux),):
            try:
                sock.setsockopt(socket.SOL_SOCKET, option, _SERVER_BUFFER_BYTES)
                break
            except OSError:  # not root, or a system that refuses what is too much: it stays as it is
                pass
    sock.bind(address)


def _join(sock: "Any", ours: "Any", port: "int | None", address: bytes, interface: bytes, hops: int) -> None:
    """Bind a socket for sending to a group; unless `port` is 0, join the group and share its port with other programs."""
    level, membership, outgoing, limit = _IPV6 if address[4:] else _IPV4
    if address[4:]:
        sock.setsockopt(level, _number(*_V6ONLY), 1)
    if any(interface):
        sock.setsockopt(level, _number(*outgoing), bytes(4) + interface if interface[4:] else interface)
    if hops != 1:
        sock.setsockopt(level, _number(*limit), hops)
    if port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(ours)
    if port:
        sock.setsockopt(level, _number(*membership), bytes(address) + interface)


def _is_member(sock: "Any", address: bytes, interface: bytes, hops: int) -> bool:
    """Return whether a socket is in its group on the interface that is the right one now; raises OSError without a network.

    Joining where it is a member already is refused: EADDRINUSE. Of IPv6 this cannot be asked: the system refuses for any interface,
    also for one that has gone.
    """
    if address[4:]:
        return False
    try:
        sock.setsockopt(0, _number(*_IPV4[1]), bytes(address) + interface)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return True
        if error.errno != errno.ENOBUFS:
            raise
    return False  # it is now, but on the interface of before, too: a new socket is on one alone


def _number(name: str, on_linux: int) -> "Any":
    return getattr(socket, name, on_linux)
