# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl gateway`: a node on a serial line has a DTLS session and is in a group, over real UDP; test_demo has the board."""

import asyncio
import os
import pty
import select
import socket
import subprocess
import sys
import time

import pytest

import dice
from dice.aio.slip_host import SlipHost
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.transport.slip import Serial
from dice.transport.slip_ip import packet
from dicectl.manager import group_file
from dicectl.net import links
from dicectl.net.slip_gateway import Gateway, at_work
from host_tests.patience import PATIENCE_S, soon, until, until_async

KEY = bytes(range(16))
GROUP = ("239.1.2.3", 9009)


class GatewayLine:
    """A context manager: a serial line with a gateway at its end, run by a thread; `near` is the node's end."""

    def __init__(self, groups=(GROUP,), interface="127.0.0.1", hops=1, recode=True):
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
        self._ends = pair
        self.near, far = (end.makefile("rwb", buffering=0) for end in pair)
        self.gateway = Gateway(far, groups, interface, hops=hops, recode=recode)
        self._work = at_work(self.gateway)

    def __enter__(self):
        self._work.__enter__()
        return self

    def __exit__(self, *details):
        self._work.__exit__(*details)
        for end in (*self._ends, self.near):
            end.close()


def run_session():
    async def main():
        async def echo(connection):
            async for message in connection:
                await connection.send(message[::-1])

        service = await dice.serve(5684, PskLookup({b"node": KEY}.get), echo, timer_ms=500)
        with GatewayLine() as bus:
            host = SlipHost(bus.near, "10.77.0.5")
            address = ("127.0.0.1", 5684)
            connection = await dice.connect(address, Psk(b"node", KEY), network=host, timer_ms=500)
            await connection.send(b"abc")
            answer = await soon(connection.receive())
            connection.close()
        service.close()
        return answer

    return asyncio.run(main())


def test_a_node_on_the_line_has_a_dtls_session(in_network):
    assert in_network(run_session) == b"cba"


async def deliver(sender, receiver, word):
    """Let one member send and another receive; return the message, or None if the receiver drops it."""
    dropped = receiver.member.dropped
    before = sum(dropped.values())
    receiving = asyncio.ensure_future(receiver.__anext__())
    await asyncio.sleep(0)
    await sender.send(word)
    await until_async(lambda: receiving.done() or sum(dropped.values()) > before, "a message")
    if receiving.done():
        return receiving.result()[1]
    receiving.cancel()
    return None


def run_group(folder, node_recodes, gateway_recodes):
    group = group_file.new("lamps", *GROUP)
    group_file.add_sender(group, "switch")
    group_file.add_sender(group, "door")
    group_file.create(folder / "lamps.group", group)
    for name in ("switch", "door"):
        (folder / name).mkdir()
        group_file.export(folder / "lamps.group", folder / name / "node.gsa", name)

    async def main():
        with GatewayLine(recode=gateway_recodes) as bus:
            host = SlipHost(bus.near, "10.77.0.5", node_recodes)
            on_bus = await dice.join(str(folder / "switch" / "node.gsa"), network=host)
            on_network = await dice.join(str(folder / "door" / "node.gsa"), answering=True)
            received = []
            for sender, receiver, word in ((on_bus, on_network, b"hello"), (on_network, on_bus, b"world")) * 2:
                received.append(await deliver(sender, receiver, word))  # the first of each only reveals its number
            question = asyncio.create_task(on_bus.ask(b"who?", 1000))
            await on_network.__anext__()
            await on_network.answer(b"me")
            answers = list((await question).values())
            own = on_bus.member.dropped.get("own", 0)
            counts = dict(bus.gateway.counts)
            for member in (on_bus, on_network):
                member.close()
        return received, answers, own, counts

    return asyncio.run(main())


@pytest.mark.parametrize("node_recodes, gateway_recodes", [(True, True), (True, False), (False, True)])
def test_members_on_both_sides_of_the_gateway_exchange_messages_and_answers(node_recodes, gateway_recodes, in_network, tmp_path):
    """The line does not get back its own datagrams. Both ends receive both forms of records."""
    received, answers, own, counts = in_network(run_group, tmp_path, node_recodes, gateway_recodes)
    assert received[-2:] == [b"hello", b"world"]
    assert answers == [b"me"]
    assert own == 0
    assert counts["dropped"] == 0
    assert counts["to_network"] == 3


def send_noise():
    """Malformed packets are counted, the oldest endpoint is evicted, and a packet to an unreachable address does no harm."""
    with GatewayLine(()) as bus, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE_S)
        target = socket.inet_aton("127.0.0.1") + peer.getsockname()[1].to_bytes(2, "big")
        line = Serial(bus.near, 1300)
        line.send(b"noise")
        line.send(bytes(1260))
        line.send(packet(bytes(6), bytes(6), b"to port 0"))
        ports = set()
        for number in range(100):
            line.send(packet(b"\x0a\x4d\0\1" + (1000 + number).to_bytes(2, "big"), target, b"%d" % number))
            data, (_, port) = peer.recvfrom(100)
            assert data == b"%d" % number
            ports.add(port)
        assert len(ports) > 90
        open_now = len(bus.gateway._nodes)
        peer.sendto(bytes(2000), ("127.0.0.1", port))
        peer.sendto(b"answer", ("127.0.0.1", port))
        poll = select.poll()
        poll.register(bus.near, select.POLLIN)
        frames = []
        while not frames and poll.poll(PATIENCE_S * 1000):
            frame = line.receive()
            if frame:
                frames.append(frame)
        return open_now, bus.gateway.counts, frames


def test_noise_and_floods_are_counted_and_bounded(in_network):
    open_now, counts, frames = in_network(send_noise)
    assert open_now == 64
    assert counts["dropped"] == 4
    assert frames[0][28:] == b"answer"
    assert frames[0][16:20] == b"\x0a\x4d\0\1"


def knock():
    """A stranger finds the port of a node. Return what reaches the bus, by the seconds since the node has sent to whom."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        seconds = [0.0]
        near, far = socket.socketpair()
        for end in (near, far, peer, stranger):
            end.setblocking(False)
        for end in (peer, stranger):
            end.bind(("127.0.0.1", 0))
        with near.makefile("rwb", buffering=0) as line_end, far.makefile("rwb", buffering=0) as gateway_end:
            gateway = Gateway(gateway_end, (), "127.0.0.1", lambda: seconds[0])
            line, node = Serial(line_end, 1300), b"\x0a\x4d\0\1\x15\xe0"

            def say(address):
                line.send(packet(node, socket.inet_aton(address[0]) + address[1].to_bytes(2, "big"), b"question"))
                gateway.step(1)

            def reach(end, count=1):
                """Return how many of `count` datagrams of an end reach the bus."""
                before = gateway.counts["to_bus"]
                (port,) = gateway._nodes.values()
                for _ in range(count):
                    end.sendto(b"answer", ("127.0.0.1", port.sock.getsockname()[1]))
                    gateway.step(1)
                while near.recv(4096) if select.select([near], [], [], 0)[0] else b"":
                    pass
                return gateway.counts["to_bus"] - before

            say(peer.getsockname())
            unicast = reach(peer), reach(stranger)
            say(GROUP)
            group = reach(stranger), reach(stranger, 300)
            seconds[0] += 61
            later = reach(peer), reach(stranger)
            seconds[0] += 1740
            late = reach(peer)
            for number in range(100):
                say(("127.0.0.1", 20_000 + number))
            (port,) = gateway._nodes.values()
            size = len(port._peers)
            gateway.close()
        near.close()
        far.close()
        return unicast, group, later, late, size


def test_a_stranger_who_finds_the_port_of_a_node_cannot_fill_the_bus(in_network):
    unicast, group, later, late, size = in_network(knock)
    assert unicast == (1, 0)
    assert group == (1, 255), "the answers to a group message"
    assert later == (1, 0)
    assert late == 0, "half an hour after the last datagram to it"
    assert size == 64


def lose_interface():
    with GatewayLine(()) as bus:
        bus.gateway._interface = socket.inet_aton("203.0.113.7")
        line = Serial(bus.near, 1300)
        for number in range(3):
            line.send(packet(b"\x0a\x4d\0\1\0" + bytes((number,)), b"\x7f\0\0\1\0\x09", b"x"))
        until(lambda: bus.gateway.counts["dropped"] == 3, "drops")
        bus.gateway._interface = socket.inet_aton("127.0.0.1")  # the interface has returned
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.settimeout(PATIENCE_S)
            port = peer.getsockname()[1].to_bytes(2, "big")
            left = bus.gateway.counts["dropped"], len(bus.gateway._nodes)
            line.send(packet(b"\x0a\x4d\0\1\0\x07", socket.inet_aton("127.0.0.1") + port, b"works"))
            return *left, peer.recv(100)


def test_a_datagram_that_the_network_refuses_is_dropped(in_network):
    assert in_network(lose_interface) == (3, 0, b"works")


def _cable():
    """Plug in the interface `iot`; return a socket that receives what is sent there."""
    links.add_cable("iot", "fd00:2::1")
    links.add_ipv4_address("iot", "10.9.2.1")
    far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    far.bind(("iotx", 0x0800))
    far.settimeout(0.2)
    return far


def named_interface():
    """Send from the bus to a group, and from the network to the bus, on an interface that goes away and comes back."""
    seen = []
    far = _cable()
    with GatewayLine((GROUP,), "iot", 3) as bus:
        line = Serial(bus.near, 1300)
        for word in (b"first", b"second"):
            frame = b""
            while word not in frame:
                line.send(packet(b"\x0a\x4d\0\1\0\7", socket.inet_aton(GROUP[0]) + GROUP[1].to_bytes(2, "big"), word))
                try:
                    frame = far.recv(2000)
                except TimeoutError:
                    pass  # not yet
            seen.append(frame[14 + 8])  # the TTL
            received = None
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.9.2.1"))
                while not received or word + b" back" not in received:
                    peer.sendto(word + b" back", GROUP)
                    time.sleep(0.02)
                    received = line.receive()
            if word == b"first":
                subprocess.run(["ip", "link", "delete", "iot"], check=True)
                far.close()
                far = _cable()
    return seen


def test_groups_are_on_the_interface_that_was_named(in_network):
    assert in_network(named_interface) == [3, 3]


def run_echoing_line():
    """The line returns everything that the gateway writes, as some adapters do."""
    with GatewayLine() as bus, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(PATIENCE_S)
        line = Serial(bus.near, 1300)
        node = b"\x0a\x4d\0\1\x15\xe0"
        line.send(packet(node, socket.inet_aton("127.0.0.1") + peer.getsockname()[1].to_bytes(2, "big"), b"question"))
        _, gateway = peer.recvfrom(100)
        peer.sendto(b"answer", gateway)
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        peer.sendto(b"to all", GROUP)
        received = []
        while len(received) < 2:
            frame = line.receive()
            if frame:
                received.append(frame[28:])
                line.send(frame)
        time.sleep(0.2)  # for echoes that must not occur
        return sorted(received), dict(bus.gateway.counts), len(bus.gateway._nodes)


def test_a_line_that_echoes_does_not_cause_loops(in_network):
    received, counts, nodes = in_network(run_echoing_line)
    assert received == [b"answer", b"to all"]
    assert counts == {"to_network": 1, "to_bus": 2, "dropped": 0}
    assert nodes == 1


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["/dev/null/nothing"], 3, "is not a serial port"),
        (["{pty}", "--group", "lamps"], 2, "is not a group's address and port"),
        (["{pty}", "--group", "10.0.0.1:9000"], 2, "is not a group's address and port"),
        (["{pty}", "--interface", "wlan0"], 2, "cannot join"),
        (["{pty}", "--baud", "-1"], 2, "--baud"),
    ],
)
def test_wrong_arguments_exit_with_2_or_3(arguments, status, message):
    master, slave = pty.openpty()
    argv = [argument.replace("{pty}", os.ttyname(slave)) for argument in arguments]
    done = subprocess.run([sys.executable, "-m", "dicectl", "gateway", *argv], capture_output=True, text=True)
    os.close(master)
    os.close(slave)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (status, 1), done.stderr
    assert message in done.stderr
