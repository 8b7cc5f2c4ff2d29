# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl gateway`: joins nodes on a serial bus to the network, without a key of theirs."""

import selectors
import socket
import struct
from collections import OrderedDict

import rich_click as click

from dice.ip import HEADERS_BYTES, packet, parse
from dice.limits import DATAGRAM_MAX_BYTES
from dice.serial import Serial
from dicectl.failure import NO_DEVICE, USAGE, Failure

_ENDPOINTS_MAX = 64  # sockets that stand for nodes' ports at most; the one that was used the longest time ago makes room
_ECHOES_MAX = 64


def _address(raw):
    """Return (host, port) of address | port, 6 bytes."""
    return socket.inet_ntoa(raw[:4]), int.from_bytes(raw[4:], "big")


def _raw(address):
    return socket.inet_aton(address[0]) + address[1].to_bytes(2, "big")


class Gateway:
    """Translates between one line and UDP: each port of a node has a socket here, and groups come in through sockets of theirs.

    `stream` is as for dice.serial.Serial and has fileno(). `counts` tells what went which way, and what was dropped.
    """

    def __init__(self, stream, groups=(), interface="0.0.0.0"):
        """`groups` are (address, port); raises OSError."""
        self.counts = {"to_network": 0, "to_bus": 0, "dropped": 0}
        self._line = Serial(stream, DATAGRAM_MAX_BYTES + HEADERS_BYTES)
        self._interface = socket.inet_aton(interface)
        self._selector = selectors.DefaultSelector()
        self._selector.register(stream, selectors.EVENT_READ, self._from_bus)
        self._nodes = OrderedDict()  # address | port of a node: its socket
        self._echoes = OrderedDict()  # what we sent to a group and will hear again: (address | port, datagram)
        self._groups = []
        for group in groups:
            self._groups.append(self._join(group))

    def step(self, wait_s=None):
        """Carry what there is, or wait for something for so long."""
        for key, _ in self._selector.select(wait_s):
            key.data()

    def close(self):
        """Let go of all sockets; the line stays open."""
        for sock in (*self._groups, *self._nodes.values()):
            sock.close()
        self._selector.close()

    def _join(self, group):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(group)  # only what is sent to the group
        membership = struct.pack("4s4s", socket.inet_aton(group[0]), self._interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._from_network(sock, _raw(group), True))
        return sock

    def _from_bus(self):
        while True:
            frame = self._line.receive()
            if frame is None:
                return
            parsed = parse(frame)
            if parsed is None:
                self.counts["dropped"] += 1
            else:
                self._to_network(*parsed)

    def _to_network(self, node, target, datagram):
        sock = self._nodes.get(node) or self._open(node)
        self._nodes.move_to_end(node)
        if target[0] >> 4 == 0xE:  # multicast
            self._echoes[target, datagram] = None
            while len(self._echoes) > _ECHOES_MAX:
                self._echoes.popitem(last=False)
        try:
            sock.sendto(datagram, _address(target))
            self.counts["to_network"] += 1
        except OSError:
            self.counts["dropped"] += 1  # lost, as on a bad link

    def _open(self, node):
        """Make the socket that stands for a node's port."""
        if len(self._nodes) >= _ENDPOINTS_MAX:
            _, oldest = self._nodes.popitem(last=False)
            self._selector.unregister(oldest)
            oldest.close()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, self._interface)
        sock.bind(("", 0))
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._from_network(sock, node, False))
        self._nodes[node] = sock
        return sock

    def _from_network(self, sock, target, is_group):
        try:
            datagram, source = sock.recvfrom(DATAGRAM_MAX_BYTES + 1)
        except OSError:  # nothing, or word that an earlier datagram was refused
            return
        if is_group and (target, datagram) in self._echoes:
            del self._echoes[
                target, datagram
            ]  # the bus has heard it from its node; a second one would be a replay: let nodes judge
            return
        if len(datagram) > DATAGRAM_MAX_BYTES:
            self.counts["dropped"] += 1
            return
        try:
            self._line.send(packet(_raw(source), target, datagram))
            self.counts["to_bus"] += 1
        except OSError:
            self.counts["dropped"] += 1


def _group(value):
    """Return (address, port) of "239.1.2.3:9000"."""
    address, _, port = value.rpartition(":")
    try:
        raw = socket.inet_aton(address)
        if raw[0] >> 4 == 0xE and 0 < int(port) < 1 << 16:
            return socket.inet_ntoa(raw), int(port)
    except (OSError, ValueError):
        pass
    raise Failure(f"{value} is not a group's address and port, such as 239.1.2.3:9000: see dicectl group show", USAGE)


def _serial(port, baud):
    import serial

    try:
        return serial.Serial(port, baud, timeout=0, exclusive=True)
    except (OSError, serial.SerialException):
        raise Failure(f"{port} is no serial port, or another program uses it", NO_DEVICE)


@click.command("gateway")
@click.argument("port")
@click.option("--baud", default=115200, show_default=True, help="Speed of the line.")
@click.option("--group", "groups", multiple=True, help="ADDRESS:PORT of a group whose messages go to the bus; can be repeated.")
@click.option(
    "--interface", default="0.0.0.0", help="IPv4 address of the network card that groups are on.  [default: as the system routes]"
)
def command(port, baud, groups, interface):
    """Join nodes on a serial bus to the network.

    PORT is the bus: a UART or RS-485 adapter. Its nodes send UDP in IPv4 packets, framed by SLIP. The gateway gives each of their
    ports one of its own, as a home router does: they reach the manager and send to groups, and get the answers; what is sent to a
    group named by --group reaches them too. It has no key and can read nothing. It sends whatever the bus says to whatever
    address the bus says, so whoever has access to the bus can send to the network of this computer.

    \b
    Example:
      dicectl group show lamps                                  tells the group's address
      dicectl gateway /dev/ttyUSB0 --group 239.192.7.1:9000
    """
    with _serial(port, baud) as stream:
        try:
            socket.inet_aton(interface)
            gateway = Gateway(stream, [_group(value) for value in groups], interface)
        except OSError as error:
            raise Failure(f"cannot take part in the group on {interface}: {error.strerror or error}", USAGE)
        click.echo(f"carrying between {port} and the network; Ctrl-C ends it", err=True)
        try:
            while True:
                gateway.step()
        except OSError as error:
            raise Failure(f"{port}: {error.strerror or error}", NO_DEVICE)
        except KeyboardInterrupt:
            click.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in gateway.counts.items()), err=True)
        finally:
            gateway.close()
