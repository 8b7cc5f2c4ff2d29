# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A UDP relay on loopback between one client and one server. It counts, records and saves datagrams, and can impair them.

    with Relay(server_port) as relay:
        client.connect(relay.port)
        relay.move()             # from now on the server sees another source port
        relay.datagrams("up")    # sizes of the datagrams from the client; "down" for those to it
        relay.save("x.pcap")     # for tshark -d udp.port==PORT,dtls -o dtls.psk:HEX, with PORT = relay.pcap_port

A `rule` impairs the traffic: it is called with (direction, number, datagram) and returns the list of datagrams to forward.
`Impairment` is one.
"""

import random
import select
import socket
import struct
import threading
import time

from host_tests.interop.peers.base import HOST


class Impairment:
    """Drops, duplicates and reorders datagrams with these probabilities, repeatably for a seed."""

    def __init__(self, seed, drop=0.0, duplicate=0.0, reorder=0.0):
        self._random = random.Random(seed)
        self._drop, self._duplicate, self._reorder = drop, duplicate, reorder
        self._held = {"up": [], "down": []}

    def __call__(self, direction, number, datagram):
        lost, twice, late = (self._random.random() for _ in range(3))  # always three draws: repeatable
        if lost < self._drop:
            return []
        passed = [datagram] * (2 if twice < self._duplicate else 1)
        held, self._held[direction] = self._held[direction], []
        if not held and late < self._reorder:
            self._held[direction] = passed  # is forwarded after the next datagram of its direction
            return []
        return passed + held


class Relay:
    """See above. All methods may be called from any thread. Sizes are those of received datagrams, forwarded or not."""

    def __init__(self, server_port, rule=None):
        self._rule = rule
        self._server = (HOST, server_port)
        self.pcap_port = server_port
        self._inside = self._socket(0)
        self.port = self._inside.getsockname()[1]
        self._outside = [self._socket(0)]
        self._client = None
        self._passed = []  # (time, direction, source port of the client as the server sees it, datagram)
        self._stop_reading, self._stop_writing = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _socket(self, port):
        created = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        created.bind((HOST, port))
        return created

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop_writing.send(b"x")
        self._thread.join()
        for one in (self._inside, *self._outside, self._stop_reading, self._stop_writing):
            one.close()

    def move(self):
        """Give the client another address towards the server; the old address still receives."""
        self._outside = [self._socket(0), *self._outside]

    def _run(self):
        while True:
            readable, _, _ = select.select([self._stop_reading, self._inside, *self._outside], [], [], 0.05)
            if readable == [self._stop_reading]:  # and nothing is under way
                return
            for one in readable:
                if one is self._stop_reading:
                    continue
                try:
                    datagram, source = one.recvfrom(65536)
                except OSError:
                    continue  # an ICMP error: the port is closed
                if one is self._inside:
                    self._client = source
                self._pass("up" if one is self._inside else "down", datagram)

    def _pass(self, direction, datagram):
        outside = self._outside[0]
        self._passed.append((time.time(), direction, outside.getsockname()[1], datagram))
        for one in self._rule(direction, len(self._passed) - 1, datagram) if self._rule else [datagram]:
            if direction == "up":
                outside.sendto(one, self._server)
            elif self._client:
                self._inside.sendto(one, self._client)

    def inject(self, direction, datagram):
        """Forward an additional datagram, which is not counted."""
        if direction == "up":
            self._outside[0].sendto(datagram, self._server)
        else:
            self._inside.sendto(datagram, self._client)

    def passed(self):
        """Return [(direction, datagram)] in order of reception."""
        return [(direction, datagram) for _, direction, _, datagram in self._passed]

    def client_ports(self):
        """Return the client's ports, as the server sees them."""
        return {port for _, _, port, _ in self._passed}

    def messages(self):
        """Return [(direction, type)] of the plaintext handshake messages; consecutive ones of a type, as fragments, count once."""
        kinds = []
        for direction, datagram in self.passed():
            for content_type, epoch, body in records(datagram):
                if (content_type, epoch) == (22, 0) and kinds[-1:] != [(direction, body[0])]:
                    kinds.append((direction, body[0]))
        return kinds

    def alerts(self, direction):
        """Return how many protected alerts were sent in a direction; those in records with a connection id cannot be recognised."""
        every = [record for way, datagram in self.passed() if way == direction for record in records(datagram)]
        return sum(content_type == 21 and epoch > 0 for content_type, epoch, _ in every)

    def plain_alerts(self, direction):
        """Return the descriptions of the fatal alerts of a handshake, which are not protected, in a direction."""
        every = [record for way, datagram in self.passed() if way == direction for record in records(datagram)]
        return [body[1] for content_type, epoch, body in every if (content_type, epoch, body[0]) == (21, 0, 2)]

    def datagrams(self, direction=None):
        """Return the sizes of the datagrams of one direction, or of both."""
        return [len(datagram) for way, datagram in self.passed() if direction in (None, way)]

    def handshakes(self):
        """Return [(datagrams, bytes)] of each handshake, from its ClientHello up to the first application data."""
        sizes, is_open = [], False
        for direction, datagram in self.passed():
            if not is_open and direction == "up" and datagram[:1] + datagram[13:14] == b"\x16\x01":
                sizes.append([])
                is_open = True
            is_open = is_open and not has_data(datagram)
            if is_open:
                sizes[-1].append(len(datagram))
        return [(len(one), sum(one)) for one in sizes]

    def handshake(self):
        """Return (datagrams, bytes) of the first handshake."""
        return self.handshakes()[0]

    def save(self, path):
        """Write a pcap file (raw IPv4) of all received datagrams."""
        with open(path, "wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
            for when, direction, port, datagram in self._passed:
                packet = _packet(datagram, *((port, self._server[1]) if direction == "up" else (self._server[1], port)))
                file.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(packet), len(packet)) + packet)


def records(datagram):
    """Yield (content type, epoch, body) of each record, up to the first one with a connection id."""
    while len(datagram) > 13 and datagram[0] != 25:
        end = 13 + int.from_bytes(datagram[11:13], "big")
        yield datagram[0], int.from_bytes(datagram[3:5], "big"), datagram[13:end]
        datagram = datagram[end:]


def has_data(datagram):
    """Return whether a datagram contains application data, or a record with a connection id that may contain it."""
    while len(datagram) >= 13:
        if datagram[0] == 23:
            return True
        if datagram[0] == 25:  # its length field follows the connection id, whose length only the two sides know
            return datagram[3:11] != bytes(b"\0\1" + bytes(6))  # the first protected record is Finished
        datagram = datagram[13 + int.from_bytes(datagram[11:13], "big") :]
    return False


def _packet(datagram, source, target):
    """Return an IPv4 packet on loopback; UDP over IPv4 may omit its checksum."""
    address = socket.inet_aton(HOST)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(datagram), 0, 0, 64, 17, 0, address, address)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~total & 0xFFFF) + head[12:]
    return head + struct.pack("!HHHH", source, target, 8 + len(datagram), 0) + datagram
