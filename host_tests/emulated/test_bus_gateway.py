# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Two emulated RP2040 boards on a serial bus, and a node of the unix port on the network behind a gateway, in one group.

One board recodes what it sends, and the other one sends as a node of the time before. The gateway has no keys.
"""

import contextlib
import json
import socket

from dice.transport.slip import Serial
from dicectl import resources
from dicectl.net.slip_gateway import Gateway, at_work
from host_tests.emulated import files
from host_tests.emulated.test_bus import ByteStream, GroupOnBus, UnixNode, raw

HOSTS = {"switch": {"address": "10.77.0.5"}, "lamp": {"address": "10.77.0.6", "recode": False}}


class GroupBehindGateway(GroupOnBus):
    """The bus with a gateway and two boards; the node of the unix port is on the network. `seen` lists what is sent there."""

    def files_of(self, name):
        """Return the files that make a board a host."""
        return {"bus.json": json.dumps({"serial": HOSTS[name]}).encode(), **files.compiled(resources.APP, "link.py", "pins.py")}

    def add_unix(self, folder):
        """Start the gateway, and the node of the unix port on the network."""
        self.rest = contextlib.ExitStack()
        near, far = (self.rest.enter_context(end) for end in socket.socketpair())
        near.setblocking(False)
        stream = self.rest.enter_context(near.makefile("rwb", buffering=0))
        self.bus.join("gateway", far)
        group = self.group["address"], self.group["port"]
        self.gateway = self.rest.enter_context(at_work(Gateway(stream, [group], "127.0.0.1")))
        self.network = self.rest.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.network.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.network.bind(group)
        membership = socket.inet_aton(group[0]) + socket.inet_aton("127.0.0.1")
        self.network.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        self.network.setblocking(False)
        self.unix = UnixNode(folder, False)

    def seen(self):
        """Return the datagrams to the group that were on the network."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.network.recv(2000))
        return found

    def frames(self, name):
        """Return all frames that one has sent on the bus."""
        tape = ByteStream(raw(self.bus, name))
        line = Serial(tape, 1300, False)
        found = []
        while tape.data or line._rest:
            found.append(line.receive())
        return [frame for frame in found if frame]

    def close(self):
        """End all."""
        super().close()
        self.rest.close()


def run_group(firmware, folder):
    """Let each node send; return (counts of each, sizes of frames on the bus by who sent them, datagrams on the network)."""
    network = GroupBehindGateway(folder, firmware)
    try:
        for node in network.nodes:
            node.write("hello")
            node.until(lambda reports: {"sent": "hello"} in reports)
            for other in network.nodes:
                if other is not node:
                    other.counts()  # it has received that
        for number in range(6):
            network.send("on", network.nodes[number % 3])
        counts = {node.name: node.counts() for node in network.nodes}
        sizes = {name: [len(frame) for frame in network.frames(name)] for name in ("switch", "lamp", "gateway")}
        return counts, sizes, network.seen(), network.gateway.counts
    finally:
        network.close()


def test_boards_that_recode_and_boards_that_do_not_are_in_a_group_with_the_network(firmware, in_network, tmp_path):
    """A record of 2 bytes takes 31 bytes on the bus, or 59 of the board that does not recode; on the network all are whole.

    The first records of senders that were exported earlier only reveal their numbers. The network returns to the unix port its own.
    """
    counts, sizes, seen, forwarded = in_network(run_group, firmware, tmp_path)
    assert counts == {"lamp": (2 + 4, {}), "unix": (1 + 4, {"own": 3, "first": 1}), "switch": (4, {"first": 2})}
    assert sizes == {"switch": [34, 31, 31], "lamp": [62, 59, 59], "gateway": [34, 31, 31]}
    assert [len(datagram) for datagram in seen] == [34] * 3 + [31] * 6
    assert all(datagram[:3] == b"\x17\xfe\xfd" and datagram[3:11] == datagram[13:21] for datagram in seen)
    assert forwarded == {"to_network": 6, "to_bus": 3, "dropped": 0}
