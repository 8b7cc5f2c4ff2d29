# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.connect and dice.serve over transports in memory: why a connection fails, and what a lack of memory does."""

import asyncio

from memory_transport import Signal, expect, run, until

from dice.aio import service, session
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import PeerError
from dice.reasons import E_ALERT, E_MEMORY, E_NO_ANSWER, E_STALLED

KEY = bytes(range(16))
TIMER_MS = 100
TIMEOUT_S = 0.5  # a handshake takes a board a tenth of a second


class MemoryTransport:
    """One endpoint of a network in memory. Its peers know it as `address`; `lack` lists which receptions run out of memory."""

    def __init__(self, address):
        self.socket = Signal()
        self.address = address
        self.peers = {}  # by address: MemoryTransport
        self.waiting = []
        self.lack = []  # for each of the next datagrams, whether memory runs out
        self.closed = False

    def send(self, datagram, address=None):
        other = self.peers.get(address)
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


class EchoServer:
    """A service that echoes, its transport, and the messages it received. `lack`: the next client gets no task."""

    def __init__(self):
        self.lack = False
        self.transport = MemoryTransport(None)
        self.received = []
        self.service = self.connection = None

    async def start(self):
        self.service = await service.serve(
            0, PskLookup({b"node": KEY}.get), self.begin, transport=self.transport, timer_ms=TIMER_MS
        )
        return self

    def begin(self, connection):
        self.connection = connection
        if self.lack:
            self.lack = False
            raise MemoryError
        return self.handle(connection)

    async def handle(self, connection):
        async for message in connection:
            self.received.append(message)
            await connection.send(message)

    def add_client(self, address):
        """Return the transport of a new client at `address`."""
        transport = MemoryTransport(address)
        transport.peers[None] = self.transport
        self.transport.peers[address] = transport
        return transport


def connect(transport, timeout_s=10, key=KEY, **options):
    return session.connect(None, Psk(b"node", key), timeout_s=timeout_s, transport=transport, timer_ms=TIMER_MS, **options)


async def talk(connection, message):
    await connection.send(message)
    assert await connection.receive() == message


def test_a_client_connects_and_exchanges_messages():
    async def main():
        server = await EchoServer().start()
        connection = await connect(server.add_client(b"a"))
        await talk(connection, b"hello")
        connection.close()
        await until(lambda: not server.service.listener.sessions)
        server.service.close()

    run(main)


def test_cancelling_connect_or_closing_a_service_releases_everything():
    """A cancelled connect() leaves neither socket nor task behind. A closed service ends its sessions and notifies the peers."""

    async def main():
        nowhere = MemoryTransport(b"a")
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
        server = await EchoServer().start()
        connection = await connect(server.add_client(b"b"))
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


def test_a_failed_connect_names_its_reason():
    async def main():
        nowhere = MemoryTransport(b"a")
        await expect(PeerError, E_NO_ANSWER, connect(nowhere, 0.2))
        assert nowhere.closed
        server = await EchoServer().start()
        transport = server.add_client(b"b")
        server.transport.lack = [False] + [True] * 50  # the server receives nothing after the first hello
        await expect(PeerError, E_STALLED, connect(transport, TIMEOUT_S))
        server.transport.lack = []
        await expect(PeerError, E_ALERT, connect(server.add_client(b"c"), key=b"wrong"))
        server.service.close()

    run(main)


def test_a_client_that_times_out_frees_its_half_open_slot():
    async def main():
        server = await EchoServer().start()
        transport = server.add_client(b"a")
        transport.lack = [False] + [True] * 50  # receives only the HelloVerifyRequest
        await expect(PeerError, E_STALLED, connect(transport, TIMEOUT_S))
        assert len(server.service.listener.half_open) == 1
        await until(lambda: not server.service.listener.half_open)
        server.service.close()

    run(main)


def test_a_lack_of_memory_on_receive_loses_only_that_datagram():
    async def main():
        server = await EchoServer().start()
        transport = server.add_client(b"a")
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
        assert server.received == [b"next", b"heard", b"last"]
        connection.close()
        server.service.close()

    run(main)


def test_a_lack_of_memory_in_the_handshake_fails_it_at_once():
    async def main():
        server = await EchoServer().start()

        class Short(Psk):
            def flight(self, handshake):
                raise MemoryError

        await expect(
            PeerError, E_MEMORY, session.connect(None, Short(b"node", KEY), transport=server.add_client(b"b"), timer_ms=TIMER_MS)
        )
        await until(lambda: not server.service.listener.half_open)
        server.service.close()

    run(main)


def test_a_client_that_gets_no_task_is_notified():
    async def main():
        server = await EchoServer().start()
        server.lack = True
        await expect(PeerError, E_STALLED, connect(server.add_client(b"a")))
        assert not server.service.listener.sessions
        connection = await connect(server.add_client(b"a"))
        await talk(connection, b"again")
        connection.close()
        server.service.close()

    run(main)


def test_a_recall_ends_a_session_and_nothing_else_does():
    """By a server that has lost it, from whatever address. One that is wrong, early or repeated changes nothing."""

    async def main():
        server = await EchoServer().start()
        transport = server.add_client(b"a")
        for early in (b"\xff", b"\xff" + bytes(16)):
            transport.waiting.append((early, b"elsewhere"))
        connection = await connect(transport)
        served = server.service.listener.sessions[0].session
        token = served.export(b"dice recall", 16)
        for wrong in (b"\xff", b"\xff" + token[:15], b"\xff" + token + b"\0", b"\xfe" + token, b"\xff" + bytes(16), b"\xff" * 17):
            transport.waiting.append((wrong, b"elsewhere"))
            await talk(connection, b"hello")
        sent = len(server.received)
        transport.waiting.append((b"\xff" + token, b"elsewhere"))
        transport.socket.set(True)
        assert await connection.receive() is None
        assert connection.recalled == b"elsewhere" and connection.ended and connection.error is None
        connection.close()
        await asyncio.sleep(0.05)
        assert len(server.received) == sent and len(server.service.listener.sessions) == 1  # it said nothing: no nonce is used
        again = server.add_client(b"a")
        connection = await connect(again)
        assert server.service.listener.sessions[-1].session.export(b"dice recall", 16) != token
        again.waiting.append((b"\xff" + token, b"elsewhere"))
        await talk(connection, b"still there")
        assert connection.recalled is None
        connection.close()
        server.service.close()

    run(main)


def test_deadlines_are_kept_while_datagrams_arrive_without_a_break():
    """A flood does not leave the service a moment without a datagram, and timers do not run then."""

    async def main():
        server = await EchoServer().start()
        connection = await connect(server.add_client(b"a"))
        listener, looked = server.service.listener, []
        original = listener.timeout
        listener.timeout = lambda now: looked.append(now) or original(now)
        server.transport.receive = lambda: (b"junk", b"flood")
        server.transport.socket.set(True)
        await until(lambda: len(looked) >= 2)
        listener.check_credentials()
        listener.close(listener.sessions[0])
        listener._ended.append(server.service.client(server.connection))
        await until(lambda: server.connection.ended)
        connection.close()
        server.service.close()

    run(main)
