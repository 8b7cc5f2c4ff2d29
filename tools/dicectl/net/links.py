# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Interfaces in a network namespace: pairs of virtual Ethernet, and IPv6 addresses (rtnetlink(7), netdevice(7))."""

import socket
import struct
import time
from pathlib import Path

_AF_NETLINK, _NETLINK_ROUTE = 16, 0
_RTM_NEWLINK = 16
_REQUEST, _ACKNOWLEDGE, _CREATE, _EXCLUSIVE = 1, 4, 0x400, 0x200
_NLMSG_ERROR = 2
_IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER = 3, 18, 1, 2, 1
_SIOCSIFADDR, _SIOCSIFFLAGS, _SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C
_IFF_UP = 1
_TENTATIVE = 0x40  # in /proc/net/if_inet6: duplicate address detection is not over
_PATIENCE_S = 10


def _attribute(kind, *parts):
    value = b"".join(parts)
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _named(name):
    """Return struct ifinfomsg of no particular interface, and its name."""
    return bytes(16) + _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def add_pair(name, other):
    """Add two interfaces, each the other end of a virtual cable; raises OSError."""
    peer = _attribute(_VETH_INFO_PEER, _named(other))
    kind = _attribute(_IFLA_INFO_KIND, b"veth")
    body = _named(name) + _attribute(_IFLA_LINKINFO, kind, _attribute(_IFLA_INFO_DATA, peer))
    flags = _REQUEST | _ACKNOWLEDGE | _CREATE | _EXCLUSIVE
    with socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), _RTM_NEWLINK, flags, 1, 0) + body)
        _, kind, _, _, _, number = struct.unpack_from("=IHHIIi", netlink.recv(4096))
    if kind != _NLMSG_ERROR or number:
        raise OSError(-number, "cannot add virtual Ethernet")


def set_up(name):
    """Switch an interface on; raises OSError."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), _IFF_UP))


def add_address(name, address, prefix_bits=64):
    """Give an interface an IPv6 address; raises OSError."""
    import fcntl

    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        request = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=Ii", prefix_bits, socket.if_nametoindex(name))
        fcntl.ioctl(control, _SIOCSIFADDR, request)


def add_ipv4_address(name, address, mask="255.255.255.0"):
    """Give an interface an IPv4 address; raises OSError."""
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, mask)):
            packed = struct.pack("=16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(value))
            fcntl.ioctl(control, request, packed)


def add_cable(name, address):
    """Add an interface with an IPv6 address, switched on, whose other end is the interface `name` + "x"; raises OSError."""
    conf = Path("/proc/sys/net/ipv6/conf")
    (conf / "default" / "accept_dad").write_text("0")  # nobody else can have our addresses
    add_pair(name, name + "x")
    (conf / (name + "x") / "disable_ipv6").write_text("1")  # nobody lives there
    for end in (name, name + "x"):
        set_up(end)
    add_address(name, address)
    wait_for_addresses(name)


def wait_for_addresses(*names):
    """Wait until these interfaces have IPv6 addresses, all of which can be used; raises TimeoutError."""
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        lines = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
        tentative = {name for _, _, _, _, flags, name in lines if int(flags, 16) & _TENTATIVE}
        if {line[5] for line in lines} - tentative >= set(names):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{', '.join(names)} have no usable IPv6 addresses")
