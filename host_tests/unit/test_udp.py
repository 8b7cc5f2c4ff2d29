# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The system's UDP: errors of the network, ports, families; and the sockets of boards, which are doubles that say so.

Tests that need a network of their own are in host_tests/net/test_ipv6.py.
"""

import asyncio
import errno
import os
import select
import socket

import pytest

import dice
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.transport.udp import Multicast, Unicast
from host_tests.patience import soon
from host_tests.ports import HOST, free_port

GROUP4 = bytes((239, 1, 2, 3))
GROUP6 = bytes.fromhex("ff150000000000000000000000000abc")
OURS = [number for number in errno.errorcode if number not in (errno.EAGAIN, errno.EWOULDBLOCK)]
WINDOWS = [10038, 10040, 10050, 10051, 10052, 10054, 10055, 10064, 10065]


class FailingSocket:
    """A double of a socket: recvfrom() and send() give what is in the lists, an exception or a result."""

    def __init__(self, received=(), sent=()):
        self.received = list(received)
        self.sent = list(sent)
        self.calls = 0

    def _next(self, results):
        self.calls += 1
        result = results.pop(0) if results else BlockingIOError(errno.EAGAIN, "nothing")
        if isinstance(result, Exception):
            raise result
        return result

    def recvfrom(self, size):
        return self._next(self.received)

    def sendto(self, datagram, address):
        return self._next(self.sent)


def transport_of(double):
    transport = Unicast(None, 0)
    transport.close()
    transport.socket = double
    return transport


def test_a_datagram_as_long_as_ethernet_carries_is_received_whole():
    """OpenSSL packs the records of a flight with certificates into datagrams that are longer than ours."""
    transport = Unicast(None, 0)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(bytes(1472), (HOST, transport.socket.getsockname()[1]))
            select.select([transport.socket], [], [], 5)
        assert len(transport.receive()[0]) == 1472
    finally:
        transport.close()


@pytest.mark.parametrize("number", OURS + WINDOWS)
def test_an_error_about_a_packet_is_nothing_received_whatever_its_number(number):
    """The next datagram is received in the same call: no datagram waits because of an error."""
    for transport in (transport_of(FailingSocket()), _multicast_of(FailingSocket())):
        transport.socket = FailingSocket([OSError(number, os.strerror(number)), (b"datagram", "source")])
        assert transport.receive() in (b"datagram", (b"datagram", "source"))
        assert transport.errors == 1
        transport.socket = FailingSocket([OSError(number, os.strerror(number))])
        assert transport.receive() in (None, (None, None))
        assert transport.errors == 2


def _multicast_of(double):
    transport = Multicast.__new__(Multicast)
    transport.socket, transport.errors, transport.source, transport._peer = double, 0, None, None
    return transport


def test_an_error_that_stays_is_raised_and_does_not_loop():
    """The caller pauses. Each call tries again, so a socket that works again is read."""
    double = FailingSocket([OSError(errno.ENETDOWN, "down")] * 1000)
    transport = transport_of(double)
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            transport.receive()
    assert double.calls <= 64
    double.received = [(b"back", "source")]
    assert transport.receive() == (b"back", "source")


def test_a_closed_transport_raises():
    """Its task must end."""
    transport = Unicast(None, 0)
    transport.close()
    with pytest.raises(OSError) as raised:
        transport.receive()
    assert raised.value.errno == errno.EBADF


def test_what_an_earlier_datagram_caused_does_not_cost_the_next():
    """Linux reports a pending ICMP error in place of sending, once."""
    double = FailingSocket(sent=[OSError(errno.ECONNREFUSED, "refused"), 8])
    transport = transport_of(double)
    transport.send(b"datagram")
    assert double.calls == 2
    double = FailingSocket(sent=[OSError(errno.ENETUNREACH, "unreachable")] * 100)
    transport.socket = double
    transport.send(b"datagram")
    assert double.calls == 2


def test_refused_datagrams_cost_nothing_and_others_arrive():
    """By the real kernel: ICMP of a port that nobody has. A socket that is not connected does not even hear of it."""
    port = free_port()
    client = Unicast((HOST, port))
    for _ in range(3):
        client.send(b"to nobody")
        assert client.receive() == (None, None)
    assert client.errors == 0
    server = Unicast(None, port)
    client.send(b"to somebody")
    assert server.receive()[0] == b"to somebody"
    client.close()
    server.close()


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_what_others_send_to_a_client_is_dropped_unless_it_may_be_a_recall(host):
    """Also from another port of the same address. It wakes its reader, who must not loop over a flood without a pause."""
    server, other = Unicast(None, 0, host), Unicast(None, 0, host)
    client = Unicast((host, server.socket.getsockname()[1]))
    client.send(b"hello")
    address = server.receive()[1]
    for datagram in (b"\x16 a record", b"", b"\xfe"):
        other.send(datagram, address)
        assert client.receive()[0] == b""
    other.send(b"\xff and a secret", address)
    assert client.receive() == (b"\xff and a secret", other.socket.getsockname())
    server.send(b"\x16 a record", address)
    assert client.receive()[0] == b"\x16 a record"
    for transport in (server, other, client):
        transport.close()


async def _through_a_relay(host):
    """Open a session by way of a relay that then disappears and returns; return what the server receives."""
    received = asyncio.Queue()

    async def serve(connection):
        async for message in connection:
            received.put_nowait(message)
            await connection.send(b"received " + message)

    key = bytes(range(16))
    port = free_port()
    service = await dice.serve(port, PskLookup({b"node": key}.get), serve)
    relay = Relay(host, port)
    connection = await dice.connect((host, relay.port), Psk(b"node", key), timer_ms=200)
    for message in (b"one", b"two", b"three"):
        await connection.send(message)
        assert await soon(connection.receive()) == b"received " + message
        relay.close()
        for _ in range(5):
            await connection.send(b"lost")
            await asyncio.sleep(0.01)
        relay.open()
    await connection.send(b"four")
    assert await soon(connection.receive()) == b"received four"
    connection.close()
    service.close()
    relay.close()
    return [received.get_nowait() for _ in range(received.qsize())]


class Relay:
    """Carries datagrams between one client and a server, until close()."""

    def __init__(self, host, port):
        self._loop = asyncio.get_running_loop()
        self._host = host
        self._client = None
        self._server = Unicast((host, port))
        self._loop.add_reader(self._server.socket, self._to_client)
        self.port = free_port()
        self.open()

    def open(self):
        self._own = Unicast(None, self.port, self._host)
        self._loop.add_reader(self._own.socket, self._to_server)

    def close(self):
        self._loop.remove_reader(self._own.socket)
        self._own.close()

    def _to_server(self):
        datagram, self._client = self._own.receive()
        if datagram:
            self._server.send(datagram)

    def _to_client(self):
        datagram, _ = self._server.receive()
        if datagram:
            self._own.send(datagram, self._client)


@pytest.mark.parametrize("host", [HOST, "::1"])
def test_a_session_survives_what_icmp_says_of_its_datagrams(host):
    """Port unreachable, of both families, in mid-session."""
    assert asyncio.run(_through_a_relay(host)) == [b"one", b"two", b"three", b"four"]


# One service has a port.


@pytest.mark.parametrize("host", [None, "0.0.0.0", HOST, "::", "::1"])
def test_a_port_that_another_service_has_is_refused(host):
    """On whatever addresses the first one listens, one that listens on all does not share its port."""
    first = Unicast(None, 0, host)
    port = first.socket.getsockname()[1]
    for other in (None, host):
        with pytest.raises(OSError) as raised:
            Unicast(None, port, other)
        assert raised.value.errno == errno.EADDRINUSE
    first.close()
    Unicast(None, port, host).close()  # UDP has no TIME_WAIT: a service that ended can start again at once


def test_nobody_else_can_take_the_port_of_a_service():
    """Also not with SO_REUSEADDR, as another user of the computer could set it."""
    service = Unicast(None, 0)
    port = service.socket.getsockname()[1]
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET, HOST), (socket.AF_INET6, "::"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                thief.bind((host, port))
    service.close()


def test_sockets_for_answers_have_ports_of_their_own():
    """Those of ask(): with SO_REUSEADDR, of 8,000 sockets 930 had the port of another one."""
    sockets = [Unicast(None, 0) for _ in range(400)]
    assert len({transport.socket.getsockname()[1] for transport in sockets}) == len(sockets)
    for transport in sockets:
        transport.close()


# Both families.


def test_one_socket_serves_both_families():
    service = Unicast(None, 0)
    port = service.socket.getsockname()[1]
    for host in (HOST, "::1", "localhost"):
        client = Unicast((host, port))
        client.send(b"from " + host.encode())
        datagram, source = service.receive()
        assert datagram == b"from " + host.encode()
        service.send(b"to " + host.encode(), source)
        assert client.receive()[0] == b"to " + host.encode()
        client.close()
    service.close()


class System:
    """A double of the module socket: CPython's, except for what is in `changes`."""

    def __init__(self, **changes):
        self.__dict__.update(changes)

    def __getattr__(self, name):
        return getattr(socket, name)


def test_a_computer_without_ipv6_serves_ipv4(monkeypatch):
    """The kernel was started with ipv6.disable=1."""

    def without(family, kind):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return socket.socket(family, kind)

    monkeypatch.setattr("dice.transport.udp_system.socket", System(socket=without))
    service = Unicast(None, 0)
    client = Unicast((HOST, service.socket.getsockname()[1]))
    client.send(b"datagram")
    assert service.receive()[0] == b"datagram"
    with pytest.raises(OSError, match="Address family not supported"):
        Unicast(("::1", 5684))
    client.close()
    service.close()


def _resolving(*entries):
    """Return a getaddrinfo() for one name, whose addresses are (family, host)."""

    def getaddrinfo(host, port):
        if host == "server.example":
            return [(*socket.getaddrinfo(address, port)[0][:4], (address, port)) for address in entries]
        return socket.getaddrinfo(host, port)

    return getaddrinfo


@pytest.mark.parametrize("works, expected", [("127.0.0.1", ["127.0.0.1"]), ("::1", ["192.0.2.1", "::1"])])
def test_a_name_leads_to_the_first_of_its_addresses_that_has_a_route(monkeypatch, works, expected):
    """A server with both families, in a network that has one of them; IPv4 first, as a server may serve that alone."""
    unreachable = "192.0.2.1" if works == "::1" else "2001:db8::1"
    tried = []

    class Socket(socket.socket):
        def connect(self, address):
            tried.append(address[0])
            if address[0] == unreachable:
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            super().connect(address)

    monkeypatch.setattr("dice.transport.udp_system.socket", System(getaddrinfo=_resolving(unreachable, works), socket=Socket))
    client = Unicast(("server.example", 5684))
    assert client._peer[0] == works
    assert tried == expected
    client.close()


def test_a_name_without_a_reachable_address_raises_the_reason(monkeypatch):
    """One line for the user."""

    class Socket(socket.socket):
        def connect(self, address):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr("dice.transport.udp_system.socket", System(getaddrinfo=_resolving("2001:db8::1"), socket=Socket))
    with pytest.raises(OSError, match="Network is unreachable"):
        Unicast(("server.example", 5684))
