# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Addresses of groups, IPv4 and IPv6, as text and as bytes; and the address of this computer."""

import ipaddress
import secrets
import socket

from dicectl.errors import USAGE, CommandError

_SCOPES = (1, 2, 3, 4, 5, 8, 0xE)  # of IPv6 multicast (RFC 4291, section 2.7; RFC 7346); the others are reserved
_PROBES = (  # (family, where to): nothing is sent there
    (socket.AF_INET, "239.255.0.1"),  # the network to which multicast is routed
    (socket.AF_INET6, "2001:db8::1"),  # the network that leads elsewhere: its address is more than link-local
    (socket.AF_INET6, "ff05::1"),
)


def packed(text):
    """Return the 4 or 16 bytes of a group's address; raises ValueError unless it is a multicast address that a group can have."""
    address = ipaddress.ip_address(text)
    reserved = address.version == 6 and (address.packed[0] != 0xFF or address.packed[1] & 0xF not in _SCOPES)
    if not address.is_multicast or reserved or "%" in text:
        raise ValueError(text)
    return address.packed


def text_of(address):
    """Return a group's address of 4 or 16 bytes as text."""
    return str(ipaddress.ip_address(bytes(address)))


def draw(ipv6=False):
    """Return a random address of a group, as text: of the IPv4 local scope (RFC 2365), or a transient one of the IPv6 site scope.

    The low 32 bits of the latter, which make its Ethernet address, are those of a group that nobody assigned (RFC 3307, 4.3).
    """
    if ipv6:
        return str(ipaddress.IPv6Address(0xFF15 << 112 | secrets.randbits(112) | 1 << 31))
    return f"239.255.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


def host_and_port(text, port):
    """Return {"host", "port"} of HOST or HOST:PORT; an IPv6 address with a port is in brackets. Raises CommandError."""
    host, colon, number = text.rpartition(":")
    if not colon or ("]" not in host and ":" in host) or text.endswith("]"):
        host, number = text, str(port)
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not host or not number.isdecimal() or not 0 < int(number) < 65536 or any(c in host for c in "[]/ @"):
        raise CommandError(f"{text} is no HOST[:PORT], such as a.example.org:{port}, or [2001:db8::1]:{port}", USAGE)
    return {"host": host, "port": int(number)}


def served(host):
    """Return a name or address that devices can connect to; raises CommandError for one that no device can."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host  # a name
    if address.is_unspecified or address.is_multicast or address == ipaddress.IPv4Address(0xFFFFFFFF):
        raise CommandError(f"{host} is no address of one computer: give --host the name or address of this one", USAGE)
    return host


def hint(host):
    """Return the advice to use a name, if `host` is an address that another computer cannot have (none of loopback), or None."""
    try:
        if ipaddress.ip_address(host.partition("%")[0]).is_loopback:
            return None
    except ValueError:
        return None
    return f"hint: devices keep {host} as the address of their manager; a name can move: --host manager.example.org"


def own():
    """Return the address of this computer by which others find it: IPv4, or IPv6 in a network that has no IPv4; else loopback.

    A link-local address is not one: each of the others would need the name of its own interface with it.
    """
    for family, address in _PROBES:
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, 9))
                found = probe.getsockname()[0]
        except OSError:
            continue
        if not ipaddress.ip_address(found.partition("%")[0]).is_link_local:
            return found
    return "127.0.0.1"
