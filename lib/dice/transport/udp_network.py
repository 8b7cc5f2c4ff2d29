# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The system's UDP with an interface and a hop limit for groups, on CPython and MicroPython's unix port.

group = await dice.join("lamps.gsa", network=UdpNetwork("eth1", hops=4))
"""

import errno
import socket
import sys

from .._typing import TYPING
from .udp import Multicast, Unicast

if TYPING:
    from typing import Any

    from ..types import Address

_NO_DEVICE = "no interface "


class UdpNetwork:
    """A `network` of dice.join, dice.connect and ManagedGroup: makes transports as dice.transport.udp does.

    * `interface`: where groups are received and sent to, a name such as "eth1" or an address of ours; by default the system chooses
      by its routes. It may go away and come back, also as another one of this name. Groups of IPv6 need a name or an address of
      IPv6.
    * `hops`: 1 to 255, one more than the routers that may pass on what is sent to groups.

    Sessions are not affected: they follow the routes.
    """

    def __init__(self, interface: "str | None" = None, hops: int = 1) -> None:
        self.interface = interface
        self.hops = hops

    def Unicast(self, address: "Address | None", port: "int | None" = None) -> Unicast:
        """Return a session's transport; raises OSError."""
        return Unicast(address, port)

    def Multicast(self, address: bytes, port: int) -> Multicast:
        """Return a group's transport; raises OSError, also if the interface is not there."""
        return OnInterface(address, port, self.interface, self.hops)


class OnInterface(Multicast):
    """A group's transport that looks its interface up again whenever it renews its membership."""

    def __init__(self, address: bytes, port: int, interface: "str | None" = None, hops: int = 1) -> None:
        """Join the group at `address` and `port`; the others are those of UdpNetwork. Raises OSError."""
        self._interface = interface
        Multicast.__init__(self, address, port, find_interface(interface, bool(address[4:])), hops)

    def renew(self) -> None:
        """Join again if the membership was lost, also on an interface that came back as another one; raises OSError."""
        address, _, hops = self._group
        self._group = address, find_interface(self._interface, bool(address[4:])), hops
        Multicast.renew(self)


def find_interface(text: "str | None", ipv6: bool) -> bytes:
    """Return what Multicast takes as an interface for a group of IPv4 or of IPv6; raises OSError.

    * For IPv4: 4 bytes of an address, or 8 of which the last 4 are an index: the end of struct ip_mreqn.
    """
    if not text:
        return bytes(4)
    packed = _packed(text)
    if len(packed) == 4 and ipv6:
        raise OSError(errno.ENODEV, "the interface of an IPv6 group is chosen by its name or its IPv6 address, not by " + text)
    if len(packed) == 4:
        return packed
    index = _index_of_address(text, packed) if packed else _index(text)
    if not ipv6 and sys.platform == "win32":
        return index.to_bytes(4, "big")  # an address of 0.0.0.0/8 is an index there
    return (b"" if ipv6 else bytes(4)) + index.to_bytes(4, sys.byteorder)


def _packed(text: str) -> bytes:
    """Return the bytes of an address without its zone, or b"" if `text` is none."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text.split("%")[0])
        except (OSError, ValueError):
            pass
    return b""


def _index(name: str) -> int:
    """Return the index of an interface by its name."""
    if name.isdigit():  # the zone of an address may be one
        return int(name)
    try:
        if hasattr(socket, "if_nametoindex"):
            return socket.if_nametoindex(name)
        raw: Any = socket.getaddrinfo("fe80::1%" + name, 9)[0][-1]  # MicroPython: struct sockaddr_in6, whose end is the index
        return int.from_bytes(raw[24:], sys.byteorder)
    except OSError:
        raise OSError(errno.ENODEV, _NO_DEVICE + name)


def _index_of_address(text: str, packed: bytes) -> int:
    """Return the index of the interface with an IPv6 address, which may have a zone."""
    if "%" in text:
        return _index(text.split("%")[1])
    try:
        with open("/proc/net/if_inet6") as file:
            for line in file:
                if line.startswith(packed.hex()):
                    return int(line.split()[1], 16)
    except OSError:
        pass  # not Linux
    raise OSError(errno.ENODEV, _NO_DEVICE + "with the address " + text)
