# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Transports: the only code that touches sockets, serial lines and radios. A transport is an object that carries datagrams.

All transports have `socket`, what tasks wait on (a socket, a stream that can be polled, or an asyncio.Event), and close().
Datagrams are bytes-like. receive() never waits. For an error that the network reports about a packet it returns what it returns if
there is none; it raises OSError if the interface has failed, and may work again later.

A session's transport (`transport` of dice.connect and dice.serve):

    send(datagram, address=None)    to `address`, or to the one peer; what the network refuses is lost, as on a bad link
    receive()                       (datagram, address), or (None, None); addresses can be compared, and have a repr()

A group's transport (`transport` of dice.join):

    send(datagram)                  to all members; raises OSError
    receive()                       the next datagram, or None
    answer(datagram, source)        to one member, where `source` is the attribute of this name after receive(); optional
    ask(datagram)                   send(), and a session's transport on which the answers arrive; optional
    renew()                         is called every 2 s, when there is nothing to receive: join again if the network has forgotten
                                    us, for which `socket` may change; raises OSError if that fails; optional

A network makes transports (`network` of dice.connect, dice.serve, dice.join and ManagedGroup). The module `udp` is one, and the
default; dice.aio.slip_host.SlipHost is another.

    Unicast(address, port=None)     a session's transport to (host, port), or, if `address` is None, from anybody to our `port`
    Multicast(address, port)        a group's transport; `address` has 4 bytes, or 16 for IPv6
"""

from .._typing import TYPING

if TYPING:
    from ..types import Network


def network_or_udp(network: "Network | None") -> "Network":
    """Return `network`, or the system's UDP if it is None."""
    if network is None:
        from . import udp

        return udp
    return network
