# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ICMP errors of all kinds, forged by somebody who knows addresses and ports, against both ends of sessions; by the real kernel."""

import asyncio
import socket
import struct

import dice
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.transport.udp import Unicast
from host_tests.patience import soon

HOST = "127.0.0.1"
PORT = 5684
KEY = bytes(range(16))
KINDS = [(3, code) for code in range(16)] + [(4, 0), (5, 1), (11, 0), (11, 1), (12, 0), (12, 1), (12, 2)]


def _checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp(kind, code, source_port, destination_port):
    """Return an ICMP error about a UDP datagram that was sent from one port to the other."""
    udp = struct.pack(">HHHH", source_port, destination_port, 108, 0)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 128, 1, 0, 64, 17, 0, socket.inet_aton(HOST), socket.inet_aton(HOST))
    ip = ip[:10] + _checksum(ip).to_bytes(2, "big") + ip[12:]
    head = struct.pack(">BBHHH", kind, code, 0, 0, 600)  # the last is the MTU of "fragmentation needed"
    message = head + ip + udp
    return message[:2] + _checksum(message).to_bytes(2, "big") + message[4:]


async def _talk_under_fire():
    async def serve(connection):
        async for message in connection:
            await connection.send(message)

    service_transport = Unicast(None, PORT, HOST)
    service = await dice.serve(PORT, PskLookup({b"node": KEY}.get), serve, transport=service_transport)
    transport = Unicast((HOST, PORT))
    own_port = transport.socket.getsockname()[1]
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    connected = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # it shows that the kernel takes them for real
    connected.connect((HOST, PORT))
    reported = 0

    async def fire():
        while True:
            for kind, code in KINDS:
                for ports in ((own_port, PORT), (PORT, own_port), (connected.getsockname()[1], PORT)):
                    raw.sendto(icmp(kind, code, *ports), (HOST, 0))
                await asyncio.sleep(0)

    attack = asyncio.create_task(fire())
    connection = await dice.connect((HOST, PORT), Psk(b"node", KEY), timer_ms=300, transport=transport)
    for number in range(60):
        message = bytes((number,)) * (1 + number * 17)
        await connection.send(message)
        assert await soon(connection.receive()) == message
        await asyncio.sleep(0.005)
        reported += bool(connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    attack.cancel()
    connected.close()
    raw.close()
    errors = transport.errors + service_transport.errors
    alive = connection.session.connected and len(service.listener.sessions) == 1 and service.listener.sessions[0].session.connected
    connection.close()
    service.close()
    return alive, reported, errors


def _run():
    return asyncio.run(_talk_under_fire())


def test_icmp_errors_of_all_kinds_do_not_end_a_handshake_or_a_session(in_network):
    alive, reported, errors = in_network(_run)
    assert alive
    assert reported, "the kernel reported nothing to a socket that is connected"
    assert not errors, "the sockets of sessions are not connected: the kernel reports nothing to them"
