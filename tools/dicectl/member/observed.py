# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The network of a member whose datagrams are observed, and what is said about each of them: the message, or why it was dropped."""

import time
from collections import OrderedDict

from dice import record
from dice.transport.udp_network import OnInterface, UdpNetwork
from dicectl.member import coap_text

_SENT_MAX = 64  # own messages that are remembered: the network returns them at once


class ObservedNetwork(UdpNetwork):
    """Makes transports of one group; passes a copy of each received datagram to an observer once the member has processed it."""

    def __init__(self, observe, member, interface=None, hops=1):
        """`observe(datagram, source, member, before)`; `member()` returns the dice.group.member.Member, or None."""
        super().__init__(interface, hops)
        self.observe = observe
        self.member = member
        self.sent = b""  # the header of the record that was sent last

    def Multicast(self, address, port):
        """Return a transport of the group at `address`, 4 or 16 bytes, and `port`; raises OSError."""
        return _Observed(address, port, self)


class _Observed(OnInterface):
    """A multicast transport that passes on a copy of each received datagram."""

    def __init__(self, address, port, network):
        self._observed_by = network
        self._last = None
        super().__init__(address, port, network.interface, network.hops)

    def send(self, datagram):
        """Send to the group; raises OSError."""
        self._observed_by.sent = bytes(datagram[3:11])
        super().send(datagram)

    def receive(self):
        """Return the next datagram, or None. The member has processed the previous one by now, so that one is passed on."""
        last, self._last = self._last, None
        if last:
            self._observed_by.observe(*last)
        datagram = super().receive()
        member = self._observed_by.member()
        if datagram is not None and member:
            self._last = (datagram, self.source, member, (member.accepted, dict(member.dropped)))
        return datagram


class OwnMessages:
    """The messages that this member has sent last; they return from the network, where nobody decrypts them."""

    def __init__(self):
        self._sent = OrderedDict()  # {header of the record: what is said about it}

    def sent(self, header, said):
        """Remember a message; `said` is its epoch, number and text."""
        self._sent[header] = said
        while len(self._sent) > _SENT_MAX:
            self._sent.popitem(last=False)

    def find(self, datagram):
        """Return what is said about a datagram that this member has sent, or None."""
        return self._sent.get(bytes(datagram[3:11]))


def described(datagram, source, member, before, own):
    """Return what is said about a datagram that a member has processed, as a dict; `before` has its counters before that."""
    accepted, dropped = before
    host = f"[{source[0]}]" if ":" in source[0] else source[0]
    said = {"at": time.time(), "from": f"{host}:{source[1]}", "bytes": len(datagram)}
    if member.accepted > accepted:
        said |= {"epoch": member.epoch, "sender": member.sender, "number": member.sequence}
        asked = coap_text.request(member.data)
        return said | {"message": member.data.decode(errors="backslashreplace")} | ({"coap": asked} if asked else {})
    kinds = [kind for kind, number in member.dropped.items() if number > dropped.get(kind, 0)]
    kind = kinds[0] if kinds else "expired"
    sent = own.find(datagram) if kind == "own" else None
    if sent:
        return said | {"own": True} | sent
    epoch = {"epoch": int.from_bytes(datagram[3:5], "big")} if record.well_formed(datagram) else {}
    return said | epoch | {"dropped": kind}
