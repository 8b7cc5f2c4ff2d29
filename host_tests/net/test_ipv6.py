# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions and groups in a network that has IPv6 alone, on both interpreters, and on the interface that was named."""

import json
import socket
import struct
import subprocess
import sys

import pytest

from dice.transport.udp import Multicast, Unicast
from dicectl import resources
from dicectl.firmware import unix_port
from dicectl.net import links, namespace
from host_tests.net.test_manager_command import ManagedSite
from host_tests.patience import until

PORT = 5684
GROUP4, GROUP6 = bytes((239, 1, 2, 3)), socket.inet_pton(socket.AF_INET6, "ff15::abc")
BOTH = pytest.mark.parametrize("interpreter", ["CPython", "MicroPython"])

_CLIENT = """
import asyncio, sys
import dice
from dice.dtls.kx_psk import Psk
async def main():
    for host in sys.argv[1:]:
        try:
            connection = await dice.connect((host, 5684), Psk(b"node", bytes(range(16))), timer_ms=500)
            await connection.send(host.encode())
            print(host, (await connection.receive()).decode())
            connection.close()
        except OSError as error:
            print(host, "OSError", error.args[0])
asyncio.run(main())
"""
_RENEWED = """
from dice.transport.udp import Multicast
transport = Multicast(b"\\xff\\x15" + bytes(12) + b"\\x0a\\xbc", 5700)
first = transport.socket
transport.send(b"before")
transport.renew()
print(transport.receive()[0:6] == b"before", transport.receive(), transport.socket is first)
transport.renew()
transport.send(b"after")
print(transport.receive()[0:5] == b"after", transport.receive(), transport.socket is first)
"""
_SERVER = """
import asyncio, sys
import dice
from dice.dtls.kx_psk_server import PskLookup
async def echo(connection):
    async for message in connection:
        await connection.send(message)
async def main():
    try:
        service = await dice.serve(5684, PskLookup({b"node": bytes(range(16))}.get), echo)
    except OSError as error:
        return print("errno", error.args[0])
    print("ready")
    await service.wait_closed()
asyncio.run(main())
"""


def _start(folder, interpreter, code, *arguments):
    """Start a program on CPython or on MicroPython; its output is text."""
    script = folder / f"{hash(code)}.py"
    script.write_text(code)
    command = [sys.executable, "-u"] if interpreter == "CPython" else [unix_port.find()]
    environment = {**unix_port.environment(), "PYTHONPATH": str(resources.LIB)}
    return subprocess.Popen([*command, str(script), *arguments], stdout=subprocess.PIPE, env=environment, text=True)


def _output(*arguments):
    with _start(*arguments) as process:
        return process.stdout.read().splitlines()


def _sessions(folder, interpreter, hosts):
    """Serve on one interpreter, connect from both; return the outputs, and that of a second service."""
    second = []
    for _ in range(2):  # the next one can have the port at once
        server = _start(folder, interpreter, _SERVER)
        try:
            assert server.stdout.readline() == "ready\n"
            second += _output(folder, interpreter, _SERVER)
            outputs = [_output(folder, client, _CLIENT, *hosts) for client in ("CPython", "MicroPython")]
        finally:
            server.kill()
            server.communicate()
    return second, outputs


@BOTH
def test_sessions_over_ipv6_alone(in_ipv6_network, tmp_path, interpreter):
    """With an address, a link-local one with its interface, and loopback of both families; not with what has no route."""
    link_local = "fe80::1%ipv6"
    hosts = [namespace.ADDRESS6, link_local, "::1", "127.0.0.1"]
    second, outputs = in_ipv6_network(_with_link_local, _sessions, tmp_path, interpreter, [*hosts, "192.0.2.7", "2001:db8::7"])
    for output in outputs:
        assert output == [f"{host} {host}" for host in hosts] + ["192.0.2.7 OSError 101", "2001:db8::7 OSError 101"]
    assert second == ["errno 98"] * 2, "two services have one port"


def _with_link_local(function, *arguments):
    links.add_address("ipv6", "fe80::1")
    links.wait_for_addresses("ipv6")
    return function(*arguments)


@BOTH
def test_sessions_over_ipv4_alone(in_network, tmp_path, interpreter):
    """As before, and an error for an IPv6 server that no route leads to."""
    hosts = ["127.0.0.1", "::1"]
    second, outputs = in_network(_sessions, tmp_path, interpreter, [*hosts, "2001:db8::7"])
    for output in outputs:
        assert output == [f"{host} {host}" for host in hosts] + ["2001:db8::7 OSError 101"]
    assert second == ["errno 98"] * 2


# A managed group: firmware/app on MicroPython, and this computer as a member on CPython.


def _managed(folder, scope):
    site = ManagedSite(folder)
    seen = {}
    try:
        site.manager(host=namespace.ADDRESS6)
        seen["new"] = site("group", "new", "lamps", "--address", f"ff1{scope:x}::abc", "--json")
        seen["shown"] = site("group", "show", "lamps")
        site("provision", "new", "desk", "--group", "lamps:sender", "--to", "desk")
        for name, role in (("lamp-1", "answering"), ("lamp-2", "listener")):
            site.node(name, "--group", f"lamps:{role}")
        site.until(lambda: all(site.members()[name]["epoch"] == 2 for name in ("lamp-1",)), "the lamp")
        monitor = [sys.executable, "-m", "dicectl", "group", "monitor", "lamps", "--as", "panel", "--count", "1", "--json"]
        site("provision", "new", "panel", "--group", "lamps", "--to", "panel")
        with subprocess.Popen([*monitor, "--pcapng", "capture"], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            site.until(lambda: site.members()["panel"]["epoch"], "the panel")
            until(
                lambda: (folder / "capture").exists() and _joined(GROUP6[:1] + bytes((0x10 | scope,)) + GROUP6[2:]) >= 3,
                "3 members",
            )
            site("group", "send", "lamps", "on", "--as", "desk")
            seen["monitored"] = json.loads(process.stdout.read())
        site.until(lambda: site.light("lamp-1") == site.light("lamp-2") == ["True"], "on")
        seen["answers"] = site("group", "ask", "lamps", "light", "--as", "desk", "--json")["answers"]
        seen["removed"] = site("group", "remove", "lamps", "lamp-2", "--json")
        site("group", "send", "lamps", "off", "--as", "desk")
        site.until(lambda: site.light("lamp-1") == ["True", "False"], "off")
        seen["expelled"] = site.light("lamp-2")
        site.kill("manager")
        site.manager(host=namespace.ADDRESS6)
        seen["reopened"] = site("group", "list", "--json")
        seen["settings"] = json.loads((folder / "lamp-1" / "node.json").read_text())["manager"]
        seen["capture"] = (folder / "capture").read_bytes()
        return seen
    finally:
        site.close()


def _joined(address):
    """Return how many sockets of this network are in a group."""
    with open("/proc/net/igmp6") as file:
        return sum(int(line.split()[3]) for line in file if line.split()[2] == address.hex())


@pytest.mark.parametrize("scope", [2, 5])
def test_a_managed_group_lives_in_a_network_of_ipv6_alone(in_ipv6_network, tmp_path, scope):
    """Join, messages, answers, monitoring, expulsion, and a manager that opens its registry again; of link and of site scope."""
    seen = in_ipv6_network(_managed, tmp_path, scope)
    address = f"ff1{scope:x}::abc"
    assert seen["new"]["address"] == address
    assert f"address {address} port" in seen["shown"]
    assert seen["monitored"]["message"] == "on" and seen["monitored"]["from"].startswith("[f")
    assert {answer["device"]: answer["answer"] for answer in seen["answers"]} == {"lamp-1": "on"}
    assert seen["expelled"] == ["True"]
    assert seen["reopened"][0]["address"] == address
    assert seen["settings"] == {"host": namespace.ADDRESS6, "port": PORT}
    assert socket.inet_pton(socket.AF_INET6, address) in seen["capture"]


# The interface that was named.


def _wires():
    """Two networks, of which the first is the default."""
    for name, address in (("home", "fd00:1::1"), ("iot", "fd00:2::1")):
        links.add_cable(name, address)
    for name, octets in (("home", "10.9.0.1"), ("iot", "10.9.1.1")):
        links.add_ipv4_address(name, octets)


def _heard(taps):
    """Return the interfaces on whose far ends frames with our payload arrive."""
    found = []
    for name, tap in taps.items():
        while True:
            try:
                frame = tap.recv(2000)
            except BlockingIOError:
                break
            if b"hello from dice" in frame:
                ttl = frame[14 + 7] if frame[12:14] == b"\x86\xdd" else frame[14 + 8]
                found.append((name, ttl))
    return found


_MEMBER = """
import sys, time
from binascii import unhexlify
from dice.transport.udp import Multicast
address, interface, hops = sys.argv[1:]
group = Multicast(unhexlify(address), 50123, unhexlify(interface), int(hops))
group.send(b"hello from dice")
channel = group.ask(b"hello from dice, who is there")
datagram = None
while datagram != b"hello from dice, who is there":
    datagram = group.receive()
group.answer(b"I am", group.source)
answer = None
while answer is None:
    answer, _ = channel.receive()
print(answer.decode())
"""


def _tapped_wires():
    """Return sockets at the far ends of two networks, by name."""
    _wires()
    taps = {}
    for name in ("home", "iot"):
        taps[name] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        taps[name].bind((name + "x", 0x0003))
        taps[name].setblocking(False)
    return taps


def _on_interface(folder, interpreter, address, interface, hops):
    """Let a member send and ask on one of two networks; return its output, and what the far ends of both have received."""
    taps = _tapped_wires()
    if len(address) == 16:
        interface = struct.pack("=I", socket.if_nametoindex(interface))
    else:
        interface = socket.inet_aton({"home": "10.9.0.1", "iot": "10.9.1.1"}[interface])
    return _output(folder, interpreter, _MEMBER, address.hex(), interface.hex(), str(hops)), _heard(taps)


@BOTH
@pytest.mark.parametrize("address", [GROUP4, GROUP6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("interface, hops", [("home", 1), ("iot", 8)])
def test_what_is_sent_goes_where_the_group_listens(in_network, tmp_path, interpreter, address, interface, hops):
    """A message and a request, on either interface, with the hop limit that was given; and the answer."""
    output, sent = in_network(_on_interface, tmp_path, interpreter, address, interface, hops)
    assert output == ["I am"]
    assert sent == [(interface, hops)] * 2


_NAMED = """
import sys
from binascii import unhexlify
from dice.transport.udp_network import UdpNetwork
address, interface, hops = sys.argv[1:]
group = UdpNetwork(interface, int(hops)).Multicast(unhexlify(address), 50123)
group.send(b"hello from dice")
group.ask(b"hello from dice, who is there").close()
datagram = None
while datagram != b"hello from dice, who is there":
    datagram = group.receive()
print("received")
"""


def _on_named_interface(folder, interpreter, address, interface, hops):
    """As _on_interface(), with an interface as a user writes it; the routes of multicast lead elsewhere."""
    taps = _tapped_wires()
    return _output(folder, interpreter, _NAMED, address.hex(), interface, str(hops)), _heard(taps)


@BOTH
@pytest.mark.parametrize("address, interface", [(GROUP4, "iot"), (GROUP4, "10.9.1.1"), (GROUP6, "iot"), (GROUP6, "fd00:2::1")])
def test_an_interface_has_a_name_or_an_address(in_network, tmp_path, interpreter, address, interface):
    """The routes lead to `lo` (IPv4) and to `home` (IPv6)."""
    output, sent = in_network(_on_named_interface, tmp_path, interpreter, address, interface, 8)
    assert output == ["received"]
    assert sent == [("iot", 8)] * 2


def _loses(interface):
    try:
        return repr(Multicast(GROUP6, 50_123, struct.pack("=I", interface)))
    except OSError as error:
        return error.errno


def test_an_interface_that_does_not_exist_is_an_error(in_ipv6_network):
    assert in_ipv6_network(_loses, 999) == 19  # ENODEV
    with pytest.raises(OSError):
        Unicast(("fe80::1%nowhere", PORT))


@BOTH
def test_no_datagram_is_lost_when_a_membership_is_renewed(in_ipv6_network, tmp_path, interpreter):
    """It waited in the socket that was replaced, which now is kept until it is empty; one in both sockets would arrive twice."""
    assert in_ipv6_network(_output, tmp_path, interpreter, _RENEWED) == ["True None True", "True None False"]
