# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Memberships follow the interface: a member receives its group again, whatever happened to the network (invariant 7).

Real interfaces in a namespace of their own, on CPython and on MicroPython's unix port.
"""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dice.group.context import Context
from dice.group.gsa import decode
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.manager import group_file
from dicectl.net import links
from dicectl.net.slip_gateway import Gateway
from host_tests.patience import until

MEMBER = """
import asyncio, dice, sys
from dice.transport.udp_network import UdpNetwork

async def main():
    group = await dice.join("lamp.gsa", network=UdpNetwork("v0") if sys.argv[1:] else None)
    print("joined")
    async for _, message in group:
        print("heard", message.decode())

asyncio.run(main())
"""
ADDRESS = {4: "239.1.2.3", 6: "ff15::7"}
SOON_S = 15  # the promise is a minute; the machine may be busy
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's network namespaces")


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert not done.returncode, f"ip {' '.join(words)}: {done.stderr}"


class House:
    """A member, and the far ends of its cables, from which records are sent by hand."""

    def __init__(self, folder, version, python, named):
        self.version = version
        group = group_file.new("lamps", address=ADDRESS[version])
        group_file.add_sender(group, "switch")
        group_file.create(folder / "lamps.group", group)
        group_file.export(folder / "lamps.group", folder / "lamp.gsa")
        group_file.export(folder / "lamps.group", folder / "switch.gsa", "switch")
        gsa = decode((folder / "switch.gsa").read_bytes())
        self._sender, self._next, self._port = Context(gsa), gsa.own_next & (1 << 48) - 1, gsa.port
        self.cable("v0")
        interpreter = [sys.executable, "-u"] if python else [unix_port.find()]
        environment = unix_port.environment(resources.LIB) | {"PYTHONPATH": str(resources.LIB)}
        self.log = folder / "log"
        with open(self.log, "w") as log:
            (folder / "member.py").write_text(MEMBER)
            argv = [*interpreter, "member.py", *["named"] * named]
            self.member = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log)
        until(lambda: "joined" in self.log.read_text(), "the member")

    def cable(self, name, address="10.9.0.1"):
        """Plug in an interface with an address and the route of multicast; what is sent at its far end arrives there."""
        links.add_pair(name, name + "x")
        Path(f"/proc/sys/net/ipv4/conf/{name}/rp_filter").write_text("0")
        for end in (name, name + "x"):
            links.set_up(end)
        self.give(name, address)

    def give(self, name, address):
        """Give an interface its address, and the route of multicast."""
        if self.version == 4:
            ip("address", "replace", address + "/24", "dev", name)
            ip("route", "replace", "239.0.0.0/8", "dev", name)
        else:
            ip("-6", "route", "replace", "multicast", "ff15::/16", "dev", name, "table", "local")

    def send(self, message, name):
        """Send a record at the far end of an interface, as a neighbour would."""
        datagram = bytes(self._sender.seal(self._next, message))
        self._next += 1
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((name + "x", 0))
            wire.send(frame(datagram, self.version, self._port))

    def receives(self, name):
        """Assert that the member receives the group on the interface `name`."""
        word = f"{name} {self._next}."
        end = time.monotonic() + SOON_S
        while word not in self.log.read_text():
            assert self.member.poll() is None and time.monotonic() < end, (word, self.log.read_text())
            self.send(word.encode(), name)
            time.sleep(0.1)


def checksum(data):
    total = sum(int.from_bytes((data + b"\0")[at : at + 2], "big") for at in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (total ^ 0xFFFF).to_bytes(2, "big")


def frame(datagram, version, port):
    """Return the Ethernet frame of a datagram from a neighbour to the group."""
    udp = b"\x30\x39" + port.to_bytes(2, "big") + (8 + len(datagram)).to_bytes(2, "big")
    if version == 4:
        to = socket.inet_aton(ADDRESS[4])
        head = b"\x45\0" + (28 + len(datagram)).to_bytes(2, "big") + bytes(4) + b"\1\x11\0\0" + socket.inet_aton("10.9.0.2") + to
        head = head[:10] + checksum(head) + head[12:]
        return b"\1\0\x5e" + bytes((to[1] & 0x7F,)) + to[2:] + bytes(6) + b"\x08\0" + head + udp + b"\0\0" + datagram
    source, to = socket.inet_pton(socket.AF_INET6, "fe80::2"), socket.inet_pton(socket.AF_INET6, ADDRESS[6])
    length = (8 + len(datagram)).to_bytes(2, "big")
    sums = checksum(source + to + bytes(2) + length + bytes(3) + b"\x11" + udp + b"\0\0" + datagram)
    head = b"\x60\0\0\0" + length + b"\x11\1" + source + to
    return b"\x33\x33" + to[12:] + b"\2\0\0\0\0\2" + b"\x86\xdd" + head + udp + sums + datagram


def _interfaces_come_and_go(folder, version, python, named):
    house = House(folder, version, python, named)
    try:
        house.receives("v0")
        ip("link", "set", "v0", "down")
        ip("link", "set", "v0", "up")
        house.give("v0", "10.9.0.1")
        house.receives("v0")
        ip("link", "delete", "v0")  # an adapter is plugged in again; the access point is another one, with other addresses
        time.sleep(0.2)
        house.cable("v0", "10.9.0.7")
        house.receives("v0")
        if version == 4 and not named:
            ip("address", "flush", "dev", "v0")
            time.sleep(0.2)
            house.give("v0", "10.9.0.8")
            house.receives("v0")
            ip("route", "delete", "239.0.0.0/8")  # no network at all for a while, longer than a renewal
            time.sleep(2.5)
            house.give("v0", "10.9.0.8")
            house.cable("w0", "10.9.1.1")  # from cable to Wi-Fi
            ip("link", "set", "v0", "down")
            house.receives("w0")
    finally:
        house.member.kill()
        house.member.wait()


@pytest.mark.parametrize("python", [True, False], ids=["CPython", "MicroPython"])
@pytest.mark.parametrize("version, named", [(4, False), (6, False), (4, True)], ids=["IPv4", "IPv6", "named interface"])
def test_a_member_receives_again_when_its_interface_has_come_back(in_network, tmp_path, version, named, python):
    in_network(_interfaces_come_and_go, tmp_path, version, python, named)


def _gateway(_folder):
    """Return on which interfaces a gateway is a member, each time after the interface has changed."""
    group = (ADDRESS[4], 50123)
    number = socket.inet_aton(group[0])[::-1].hex().upper()

    def members():
        name, found = "", []
        for line in Path("/proc/net/igmp").read_text().splitlines()[1:]:
            words = line.split()
            name = words[1] if line[0] != "\t" else name
            found += [name] * (words[0] == number)
        return found

    def plug(name, address):
        links.add_pair(name, name + "x")
        links.set_up(name)
        ip("address", "add", address + "/24", "dev", name)
        ip("route", "replace", "239.0.0.0/8", "dev", name)

    plug("v0", "10.9.0.1")
    seconds, found = [0], []
    near, far = socket.socketpair()
    near.setblocking(False)
    with near.makefile("rwb", buffering=0) as line:
        gateway = Gateway(line, [group], clock=lambda: seconds[0])

        def look():
            for _ in range(2):
                seconds[0] += 2
                gateway.step(0)
            found.append(members())

        look()
        ip("link", "delete", "v0")
        look()
        plug("v0", "10.9.0.2")
        look()
        plug("w0", "10.9.1.1")
        look()
        gateway.close()
    near.close()
    far.close()
    return found


def test_a_gateway_follows_its_interface(in_network, tmp_path):
    assert in_network(_gateway, tmp_path) == [["v0"], [], ["v0"], ["w0"]]
