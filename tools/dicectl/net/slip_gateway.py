# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Network address translation between a serial bus and UDP, for `dicectl gateway` and the demo.

A port of a node receives from the addresses that it has sent to, and, for a while after a message to a group, the answers of
members, whose addresses nobody knows before. A stranger who finds the port of the gateway cannot fill the bus, which is slow.

Records are recoded on the bus (docs/protocol.md, section 16), and whole on the network. That takes no keys.
"""

import contextlib
import errno
import selectors
import socket
import threading
import time
from collections import OrderedDict

from dice.limits import DATAGRAM_MAX_BYTES, IP_UDP_HEADERS_BYTES
from dice.transport.slip import Serial
from dice.transport.slip_ip import packet, parse
from dice.transport.udp_network import find_interface
from dicectl.errors import NO_DEVICE, CommandError

_ENDPOINTS_MAX = 64  # sockets for nodes' ports; the least recently used one is evicted
_ECHOES_MAX = 64
_PAUSE_S = 0.1  # after a step that failed
_RENEW_S = 2  # between two looks at the memberships, which end with their interface
_FAILED_MAX = 50
_PEERS_MAX = 64  # addresses that a node's port may receive from; the least recently used one is evicted
_PEER_S = 1800  # how long after the last datagram to it: three reports of a node to its manager, which calls it in between
_ANSWERS_S = 60  # how long after a message to a group its answers may arrive
_ANSWERS_MAX = 256  # how many of them


def _address(raw):
    """Return (host, port) of address | port, 6 bytes."""
    return socket.inet_ntoa(raw[:4]), int.from_bytes(raw[4:], "big")


def _raw(address):
    return socket.inet_aton(address[0]) + address[1].to_bytes(2, "big")


def _remember(recent, what):
    """Add an entry to the OrderedDict of expected echoes; evict the oldest one if there are too many."""
    recent[what] = None
    while len(recent) > _ECHOES_MAX:
        recent.popitem(last=False)


class _NodePort:
    """The socket for a port of a node, and what it may receive."""

    def __init__(self, sock, clock):
        self.sock = sock
        self._clock = clock
        self._peers = OrderedDict()  # address: time of the last datagram to it
        self._answers_until = self._answers_left = 0

    def sent(self, target, is_group):
        """Note that the node has sent to an address."""
        if is_group:
            self._answers_until, self._answers_left = self._clock() + _ANSWERS_S, _ANSWERS_MAX
            return
        self._peers[target] = self._clock()
        self._peers.move_to_end(target)
        if len(self._peers) > _PEERS_MAX:
            self._peers.popitem(last=False)

    def admits(self, source):
        """Return whether a datagram from this address may pass to the node."""
        now = self._clock()
        if now - self._peers.get(source, -_PEER_S) < _PEER_S:
            return True
        if now >= self._answers_until or not self._answers_left:
            return False
        self._answers_left -= 1
        return True


@contextlib.contextmanager
def at_work(gateway):
    """Run a gateway in a thread while the block runs, then close it, and raise what ended the gateway."""
    end = threading.Event()
    errors = []

    def run():
        try:
            while not end.is_set():
                gateway.step(0.02)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        end.set()
        thread.join()
        gateway.close()
    for error in errors:
        raise error


def open_serial(port, baud):
    """Return an open serial port for a Gateway; raises CommandError."""
    import serial

    try:
        return serial.Serial(port, baud, timeout=0, exclusive=True)
    except (OSError, ValueError, serial.SerialException):
        raise CommandError(f"{port} is not a serial port, or another program uses it", NO_DEVICE)


class Gateway:
    """Translates between one serial line and UDP: there is a socket for each port of a node, and one for each group.

    `stream` is as for dice.transport.slip.Serial and has fileno(). `counts` has the datagrams in each direction, and those dropped.
    """

    def __init__(self, stream, groups=(), interface=None, clock=time.monotonic, hops=1, recode=True, capture=None):
        """`groups` are (address, port), `clock()` returns seconds; `interface` and `hops` as of UdpNetwork. Raises OSError.

        `recode` is that of SlipHost: nodes of the time before read whole records alone. `capture(source, target, datagram, text)`,
        if given, is called for each packet on the bus; records are whole there. Addresses are (4 bytes, port).
        """
        self.counts = {"to_network": 0, "to_bus": 0, "dropped": 0}
        self.error = None
        self._failed = 0  # steps in a row
        self._line = Serial(stream, DATAGRAM_MAX_BYTES + IP_UDP_HEADERS_BYTES, False)
        self._recode = recode
        self._capture = capture
        self._name = interface
        self._interface = find_interface(interface, False)
        self._hops = hops
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream, selectors.EVENT_READ, self._from_bus)
        self._nodes = OrderedDict()  # address | port of a node: its _NodePort
        self._echoes = OrderedDict()  # sent to a group, so they return to us: (address | port, datagram)
        self._written = OrderedDict()  # sent on the line, which may echo them: (source, target, datagram)
        self._groups = {group: self._join(group) for group in groups}
        self._renewed_s = clock()

    def step(self, wait_s=None):
        """Forward the datagrams that have arrived; wait at most `wait_s` seconds for the first one, by default a while.

        An exception costs a datagram, and is kept in `error`. Raises OSError when the line has failed for 5 s without a break.
        """
        if self._clock() - self._renewed_s >= _RENEW_S:
            self._renewed_s = self._clock()
            self._renew()
        for key, _ in self._selector.select(_RENEW_S if wait_s is None else wait_s):
            try:
                key.data()
                self._failed = 0
            except Exception as error:
                self.error = error
                self.counts["dropped"] += 1
                self._failed += isinstance(error, OSError)
                if self._failed == _FAILED_MAX:
                    raise
                time.sleep(_PAUSE_S)

    def close(self):
        """Close all sockets; the line stays open."""
        for sock in (*self._groups.values(), *[port.sock for port in self._nodes.values()]):
            sock.close()
        self._selector.close()

    def _join(self, group):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(group)  # receives only datagrams to the group
        self._add_membership(sock, group)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._from_network(sock, _raw(group), None))
        return sock

    def _add_membership(self, sock, group):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group[0]) + self._interface)

    def _renew(self):
        """Join each group again whose membership was lost, as when its interface went away and came back."""
        self._look_up()
        for group, sock in self._groups.items():
            try:
                self._add_membership(sock, group)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue  # it is a member
                self.error = error
                if error.errno != errno.ENOBUFS:
                    continue  # such as no network yet
            self._groups[group] = self._join(group)  # a new socket is a member on one interface alone
            self._selector.unregister(sock)
            sock.close()

    def _look_up(self):
        """Find the interface again: another one of its name may have come back."""
        try:
            found = find_interface(self._name, False)
        except OSError:
            return  # it is away
        if found != self._interface:
            self._interface = found
            for port in self._nodes.values():
                self._selector.unregister(port.sock)
                port.sock.close()
            self._nodes.clear()  # their sockets send on the interface of before

    def _from_bus(self):
        while True:
            frame = self._line.receive()
            if frame is None:
                return
            parsed = parse(frame)
            if parsed is not None:
                self._note(parsed, frame)
            if parsed in self._written:  # an adapter on a two-wire line may receive its own frames
                del self._written[parsed]
            elif parsed is None:
                self.counts["dropped"] += 1
            else:
                self._to_network(*parsed)

    def _note(self, parsed, frame):
        """Report a packet on the bus."""
        if self._capture:
            *ends, datagram = parsed
            text = f"{len(frame)} bytes on the bus, {'recoded' if frame[0] == 1 else 'IP'}"
            self._capture(*[(end[:4], int.from_bytes(end[4:], "big")) for end in ends], datagram, text)

    def _to_network(self, node, target, datagram):
        is_group = target[0] >> 4 == 0xE  # multicast
        if is_group:
            _remember(self._echoes, (target, datagram))
        try:
            port = self._nodes.get(node) or self._open(node)
            self._nodes.move_to_end(node)
            port.sent(_address(target), is_group)
            port.sock.sendto(datagram, _address(target))
            self.counts["to_network"] += 1
        except OSError:
            self.counts["dropped"] += 1

    def _open(self, node):
        """Create the socket for a port of a node."""
        if len(self._nodes) >= _ENDPOINTS_MAX:
            _, oldest = self._nodes.popitem(last=False)
            self._selector.unregister(oldest.sock)
            oldest.sock.close()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            outgoing = bytes(4) + self._interface if self._interface[4:] else self._interface
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, outgoing)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self._hops)
            sock.bind(("", 0))
        except OSError:
            sock.close()
            raise
        port = self._nodes[node] = _NodePort(sock, self._clock)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._from_network(sock, node, port))
        return port

    def _from_network(self, sock, target, port):
        """Forward a datagram to `target`: for a group, or for the _NodePort of a node."""
        try:
            datagram, source = sock.recvfrom(DATAGRAM_MAX_BYTES + 1)
        except OSError:  # no datagram, or an ICMP error for an earlier one
            return
        if port is None and (target, datagram) in self._echoes:
            del self._echoes[target, datagram]  # the bus has it from its node; a second one is a replay, which nodes drop
            return
        if len(datagram) > DATAGRAM_MAX_BYTES or (port and not port.admits(source)):
            self.counts["dropped"] += 1
            return
        _remember(self._written, (_raw(source), target, datagram))
        try:
            frame = packet(_raw(source), target, datagram, self._recode)
            self._line.send(frame)
            self.counts["to_bus"] += 1
            self._note((_raw(source), target, datagram), frame)
        except OSError:
            self.counts["dropped"] += 1
