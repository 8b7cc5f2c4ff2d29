# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A peer with a wrong key: the handshake fails, in a bounded number of datagrams, and the right key connects afterwards.

wolfSSL and dice each answer a repetition with a repetition, so that two sides that cannot agree could send as fast as they can.
"""

import asyncio

import pytest

import dice
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import PeerError
from host_tests.interop import peers
from host_tests.interop.relay import Relay
from host_tests.interop.test_dice import CLIENTS, SERVERS, psk

WRONG = bytes(range(100, 116))
TRY_S = 5  # in real time: on a slow machine there are fewer datagrams, not more
DATAGRAMS_MAX = 80  # of both sides, in this time


@pytest.mark.parametrize("name", SERVERS)
def test_a_dice_client_with_a_wrong_key_fails_quietly(name):
    peer = peers.get(name)
    port = peers.free_port()

    async def attempt(port):
        with pytest.raises(PeerError):
            await dice.connect((peers.HOST, port), Psk(peers.IDENTITY.encode(), WRONG), timer_ms=1000, timeout_s=TRY_S)

    with peer.serve(port), Relay(port) as relay:
        asyncio.run(attempt(relay.port))
        count = len(relay.datagrams())
    print(f"{name}: {count} datagrams")
    assert 4 <= count <= DATAGRAMS_MAX


@pytest.mark.parametrize("name", ["OpenSSL", "MbedTLS", "wolfSSL"])
def test_a_hello_that_was_changed_on_its_way_fails_quietly(name):
    """One bit of its last extension is flipped, behind what the cookie covers: the sides cannot agree on the transcript."""
    peer = peers.get(name)
    port = peers.free_port()
    hellos = []

    def flip(direction, number, datagram):
        if direction == "up" and datagram[:1] + datagram[13:14] == b"\x16\x01":
            hellos.append(datagram)
            if len(hellos) > 1:
                return [datagram[:-1] + bytes((datagram[-1] ^ 1,))]
        return [datagram]

    async def attempt(port):
        with pytest.raises(PeerError):
            await dice.connect((peers.HOST, port), psk(), timer_ms=1000, timeout_s=TRY_S)

    with peer.serve(port), Relay(port, flip) as relay:
        asyncio.run(attempt(relay.port))
        count = len(relay.datagrams())
    print(f"{name}: {count} datagrams")
    assert 4 <= count <= DATAGRAMS_MAX


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_with_a_wrong_key_fails_quietly_and_keeps_nobody_out(name):
    """Another client connects at once: its handshake is not delayed by the slots of those that failed."""
    peer = peers.get(name)
    counts = []

    async def handle(connection):
        async for message in connection:
            await connection.send(message)

    def drive(port):
        with Relay(port) as relay:
            with peer.connect(relay.port, key=WRONG) as client:
                try:
                    client.wait(TRY_S)
                except peers.Failed:
                    pass  # it goes on trying
            counts.append(len(relay.datagrams()))

    async def run():
        port = peers.free_port()
        service = await dice.serve(port, PskLookup({peers.IDENTITY.encode(): peers.KEY}.get), handle, timer_ms=1000)
        try:
            await asyncio.get_running_loop().run_in_executor(None, drive, port)
            assert not service.listener.sessions
            connection = await dice.connect((peers.HOST, port), psk(), timer_ms=1000)
            connection.close()
        finally:
            service.close()

    asyncio.run(run())
    print(f"{name}: {counts[0]} datagrams")
    assert 4 <= counts[0] <= DATAGRAMS_MAX
