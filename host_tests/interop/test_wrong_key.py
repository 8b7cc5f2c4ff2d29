# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A peer with a wrong key: the handshake fails, in a bounded number of datagrams, and the right key connects afterwards.

wolfSSL and dice each answer a repetition with a repetition, so that two sides that cannot agree could send as fast as they can.

An attempt waits for most of its time, so the attempts with all peers are made at once, and each has its own test.
"""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

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


pytestmark = pytest.mark.xdist_group("test_wrong_key")  # otherwise each worker would make all attempts
CHANGED = ["OpenSSL", "MbedTLS", "wolfSSL"]


@functools.cache
def outcomes(attempts, names):
    """Call attempts(name) for all names at once; return {name: concurrent.futures.Future}, of which all are done."""
    with ThreadPoolExecutor(len(names)) as pool:
        return {name: pool.submit(attempts, name) for name in names}


def check(attempts, names, name):
    """Fail or skip if the attempt with this peer did, or if there were too few or too many datagrams."""
    count = outcomes(attempts, tuple(names))[name].result()
    print(f"{name}: {count} datagrams")
    assert 4 <= count <= DATAGRAMS_MAX


def refused(port, keys, rule=None):
    """Connect to the server at a port by a Relay, which fails; return the number of datagrams."""

    async def attempt(port):
        with pytest.raises(PeerError):
            await dice.connect((peers.HOST, port), keys, timer_ms=1000, timeout_s=TRY_S)

    with Relay(port, rule) as relay:
        asyncio.run(attempt(relay.port))
        return len(relay.datagrams())


def with_a_wrong_key(name):
    port = peers.free_port()
    with peers.get(name).serve(port):
        return refused(port, Psk(peers.IDENTITY.encode(), WRONG))


@pytest.mark.parametrize("name", SERVERS)
def test_a_dice_client_with_a_wrong_key_fails_quietly(name):
    check(with_a_wrong_key, SERVERS, name)


def with_a_changed_hello(name):
    port = peers.free_port()
    hellos = []

    def flip(direction, number, datagram):
        if direction == "up" and datagram[:1] + datagram[13:14] == b"\x16\x01":
            hellos.append(datagram)
            if len(hellos) > 1:
                return [datagram[:-1] + bytes((datagram[-1] ^ 1,))]
        return [datagram]

    with peers.get(name).serve(port):
        return refused(port, psk(), flip)


@pytest.mark.parametrize("name", CHANGED)
def test_a_hello_that_was_changed_on_its_way_fails_quietly(name):
    """One bit of its last extension is flipped, behind what the cookie covers: the sides cannot agree on the transcript."""
    check(with_a_changed_hello, CHANGED, name)


def of_a_client(name):
    """Let a client with a wrong key try to connect, and then one of dice with the right one; return the datagrams of the first."""
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
    return counts[0]


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_with_a_wrong_key_fails_quietly_and_keeps_nobody_out(name):
    """Another client connects at once: its handshake is not delayed by the slots of those that failed."""
    check(of_a_client, CLIENTS, name)
