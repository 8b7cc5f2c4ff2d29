# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.connect and dice.serve over transports in memory: why a connection fails, and what a lack of memory does to both."""

import asyncio

from memory_transport import Signal, expect, run, until

from dice.aio import session as dtls
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import PeerError
from dice.reasons import E_ALERT, E_MEMORY, E_NO_ANSWER, E_STALLED

KEY = bytes(range(16))
TIMER_MS = 100
TIMEOUT_S = 0.5  # a board takes a tenth for a handshake


class Transport:
    """One end of a network of lists, where `address` is how the other end calls it; `lack` makes calls of receive() fail."""

    def __init__(self, address):
        self.socket = Signal()
        self.address = address
        self.ways = {}  # address: Transport
        self.waiting = []
        self.lack = []  # whether the next datagram, the one after it, ... finds no memory
        self.closed = False

    def send(self, datagram, address=None):
        other = self.ways.get(address)
        if other and not other.closed:
            other.waiting.append((bytes(datagram), self.address))
            other.socket.set(True)

    def receive(self):
        received = self.waiting.pop(0) if self.waiting else (None, None)
        self.socket.set(bool(self.waiting))
        if received[0] and self.lack and self.lack.pop(0):
            raise MemoryError
        return received

    def close(self):
        self.closed = True
        self.socket.close()


class Server:
    """A service, its transport, and what its clients said."""

    def __init__(self):
        self.transport = Transport(None)
        self.heard = []
        self.service = None

    async def start(self):
        self.service = await dtls.serve(0, PskLookup({b"node": KEY}.get), self.handle, self.transport, timer_ms=TIMER_MS)
        return self

    async def handle(self, connection):
        async for message in connection:
            self.heard.append(message)
            await connection.send(message)

    def way(self, address):
        """Return the transport of a client at `address`."""
        transport = Transport(address)
        transport.ways[None] = self.transport
        self.transport.ways[address] = transport
        return transport


def connect(transport, timeout_s=10, key=KEY, **options):
    return dtls.connect(None, Psk(b"node", key), timeout_s, transport, timer_ms=TIMER_MS, **options)


async def talk(connection, message):
    await connection.send(message)
    assert await connection.receive() == message


def test_both_talk():
    async def main():
        server = await Server().start()
        connection = await connect(server.way(b"a"))
        await talk(connection, b"hello")
        connection.close()
        await until(lambda: not server.service.listener.peers)
        server.service.close()

    run(main)


def test_cancelled():
    """A connect() leaves neither socket nor task behind; a service ends with all its sessions, and tells their peers."""

    async def main():
        nowhere = Transport(b"a")
        waiting = asyncio.create_task(connect(nowhere))
        await asyncio.sleep(0.05)
        assert not nowhere.closed
        waiting.cancel()
        try:
            await waiting
            raise AssertionError
        except asyncio.CancelledError:
            pass
        assert nowhere.closed
        server = await Server().start()
        connection = await connect(server.way(b"b"))
        serving = asyncio.create_task(server.service.wait_closed())
        await asyncio.sleep(0)
        server.service.close()
        try:
            await serving
            raise AssertionError
        except asyncio.CancelledError:
            pass
        assert server.transport.closed
        assert await connection.receive() is None

    run(main)


def test_why_nobody_is_connected():
    async def main():
        nowhere = Transport(b"a")
        await expect(PeerError, E_NO_ANSWER, connect(nowhere, 0.2))
        assert nowhere.closed
        server = await Server().start()
        transport = server.way(b"b")
        server.transport.lack = [False] + [True] * 50  # after its HelloVerifyRequest it hears nothing more
        await expect(PeerError, E_STALLED, connect(transport, TIMEOUT_S))
        server.transport.lack = []
        await expect(PeerError, E_ALERT, connect(server.way(b"c"), key=b"wrong"))
        server.service.close()

    run(main)


def test_who_gives_up_frees_the_server():
    async def main():
        server = await Server().start()
        transport = server.way(b"a")
        transport.lack = [False] + [True] * 50  # hears nothing but the HelloVerifyRequest
        await expect(PeerError, E_STALLED, connect(transport, TIMEOUT_S))
        assert len(server.service.listener.half_open) == 1
        await until(lambda: not server.service.listener.half_open)
        server.service.close()

    run(main)


def test_a_lack_of_memory_is_a_datagram_lost():
    async def main():
        server = await Server().start()
        transport = server.way(b"a")
        server.transport.lack = [True, False, True, False, True]
        transport.lack = [True, False, True]
        connection = await connect(transport)
        server.transport.lack = [True]
        await connection.send(b"lost")
        await until(lambda: not server.transport.lack)
        await talk(connection, b"next")
        transport.lack = [True]
        await connection.send(b"heard")
        await until(lambda: not transport.lack)
        await talk(connection, b"last")
        assert server.heard == [b"next", b"heard", b"last"]
        connection.close()
        server.service.close()

    run(main)


def test_a_lack_of_memory_in_a_handshake_ends_it_at_once():
    async def main():
        server = await Server().start()

        class Short(Psk):
            def write_key_exchange(self):
                raise MemoryError

        await expect(PeerError, E_MEMORY, dtls.connect(None, Short(b"node", KEY), 10, server.way(b"b"), timer_ms=TIMER_MS))
        await until(lambda: not server.service.listener.half_open)
        server.service.close()

    run(main)


def test_a_client_for_whose_task_there_is_no_memory_is_told():
    async def main():
        server = await Server().start()
        handle = server.service._handle

        def short(connection):
            server.service._handle = handle
            raise MemoryError

        server.service._handle = short
        await expect(PeerError, E_STALLED, connect(server.way(b"a")))
        assert not server.service.listener.peers
        connection = await connect(server.way(b"a"))
        await talk(connection, b"again")
        connection.close()
        server.service.close()

    run(main)
