# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Tasks that read a transport survive what one datagram, one call of user code or one moment does, and end audibly (invariant 6).

meta/test_supervision.py has the list of all tasks.
"""

import asyncio

from faulty import ONCE, Faulty
from memory_transport import Signal, Transport, run, run_hasty, until
from support import A, RamStore, make_folder, make_gsa, sealed

import dice
from dice.aio import service, session
from dice.aio.slip_host import SlipHost
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import PeerError
from dice.group.gsa_encode import encode
from dice.transport.slip_ip import packet

KEY = bytes(range(16))
TIMER_MS = 100


class Link:
    """A session's transport in memory; what is sent to `address` arrives at the peer of that name."""

    def __init__(self, address):
        self.socket = Signal()
        self.address = address
        self.peers = {}
        self.waiting = []
        self.closed = False
        self.receive = Faulty(self._receive)

    def send(self, datagram, address=None):
        self.peers[address].arrive(bytes(datagram), self.address)

    def arrive(self, datagram, address):
        if not self.closed:
            self.waiting.append((datagram, address))
            self.socket.set(True)

    def _receive(self):
        received = self.waiting.pop(0) if self.waiting else (None, None)
        self.socket.set(bool(self.waiting))
        return received

    def close(self):
        self.closed = True
        self.socket.close()


class Town:
    """A server that echoes, and clients."""

    def __init__(self, find=None, handler=None):
        self.link = Link(None)
        self.lookup = PskLookup(find or {b"node": KEY}.get)
        self.handler = handler or self.echo
        self.service = None

    async def start(self):
        options = {"transport": self.link, "timer_ms": TIMER_MS, "half_open_max": 64}
        self.service = await service.serve(0, self.lookup, self.handler, **options)
        return self

    async def echo(self, connection):
        async for message in connection:
            await connection.send(message)

    async def connect(self, address, identity=b"node"):
        """Return (connection, its transport)."""
        link = Link(address)
        link.peers[None] = self.link
        self.link.peers[address] = link
        return await session.connect(None, Psk(identity, KEY), timeout_s=10, transport=link, timer_ms=TIMER_MS), link


async def talks(connection):
    await connection.send(b"x")
    assert await connection.receive() == b"x"


async def joined():
    """Return a Group and its transport, whose receive() is Faulty."""
    path = make_folder() + "/lamps.gsa"
    with open(path, "wb") as file:
        file.write(encode(make_gsa()))
    transport = Transport()
    transport.receive = Faulty(transport.receive)
    return await dice.join(path, RamStore(), transport), transport


def test_a_group_survives_each_exception_of_its_transport_and_receives_the_next_message():
    async def main():
        group, transport = await joined()
        for number, error in enumerate(ONCE):
            transport.receive.errors.append(error)
            transport.feed(b"noise")
            transport.feed(sealed(number))
            assert await group.__anext__() == (A, b"message")
            assert group.overrun == number + 1 and group.error is error
        group.close()

    run_hasty(main)


def test_a_group_survives_each_exception_that_a_datagram_causes():
    async def main():
        group, transport = await joined()
        receive = group.member.receive
        for number, error in enumerate(ONCE):
            group.member.receive = Faulty(receive)
            group.member.receive.errors.append(error)
            transport.feed(b"odd")
            transport.feed(sealed(number))
            assert await group.__anext__() == (A, b"message")
            assert group.error is error
        group.close()

    run_hasty(main)


def test_a_group_survives_the_same_after_a_re_key():
    async def main():
        group, transport = await joined()
        group.install(make_gsa(epoch=2))
        group.activate()
        for number, error in enumerate(ONCE):
            transport.receive.errors.append(error)
            transport.feed(sealed(number, epoch=2))
            assert await group.__anext__() == (A, b"message")
            assert group.error is error
        group.close()

    run_hasty(main)


def test_a_client_survives_each_exception_of_its_transport():
    async def main():
        town = await Town().start()
        connection, link = await town.connect(b"a")
        for number, error in enumerate(ONCE):
            link.receive.errors.append(error)
            await talks(connection)
            assert connection.overrun == number + 1 and connection.error is error
        connection.close()
        town.service.close()

    run_hasty(main)


def test_a_service_survives_each_exception_of_its_transport():
    async def main():
        town = await Town().start()
        connection, _ = await town.connect(b"a")
        for number, error in enumerate(ONCE):
            town.link.receive.errors.append(error)
            await talks(connection)
            assert town.service.overrun == number + 1 and town.service.error is error
        connection.close()
        town.service.close()

    run_hasty(main)


def test_a_service_survives_each_exception_that_a_datagram_causes():
    async def main():
        town = await Town().start()
        connection, link = await town.connect(b"a")
        receive = town.service.listener.receive
        for error in ONCE:
            town.service.listener.receive = Faulty(receive)
            town.service.listener.receive.errors.append(error)
            link.send(b"odd")
            await until(lambda error=error: town.service.error is error)
            await talks(connection)
        town.service.close()
        connection.close()

    run_hasty(main)


def test_a_look_up_that_raises_or_returns_nonsense_is_an_unknown_identity():
    """The client gets the alert of a wrong key; others and the next handshake of the same client are not affected."""
    found = []

    def find(identity):
        if identity != b"node":
            raise found[0]
        return found[0] if found else KEY

    async def main():
        town = await Town(find).start()
        connection, _ = await town.connect(b"a")
        for number, wrong in enumerate(ONCE[2:4] + (asyncio.CancelledError(), "text", 7, find)):
            found[:] = [wrong]
            try:
                await town.connect(b"b%d" % number, b"other" if isinstance(wrong, BaseException) else b"node")
                raise AssertionError(wrong)
            except PeerError as error:
                assert error.alert == 51, wrong
            assert town.lookup.errors > number and town.lookup.error
            assert not isinstance(wrong, BaseException) or town.lookup.error is wrong
            found[:] = []
            await talks(connection)
        again, _ = await town.connect(b"c")
        await talks(again)
        assert town.service.overrun == 0
        town.service.close()
        for client in (connection, again):
            client.close()

    run(main)


def test_a_handler_that_raises_costs_its_own_session_and_is_kept():
    async def main():
        wrong = []

        async def handler(connection):
            if wrong:
                raise wrong[0]
            await town.echo(connection)

        town = await Town(handler=handler).start()
        connection, _ = await town.connect(b"a")
        for error in (OSError(5), MemoryError(), PeerError(None, 1)):
            wrong[:] = [error]
            try:
                await town.connect(b"b")
            except PeerError:
                pass  # the session was closed at once
            await until(lambda error=error: town.service.error is error)
            wrong.clear()
            await talks(connection)
        assert town.service.overrun == 3
        town.service.close()
        connection.close()

    run(main)


class Line(Signal):
    """A serial line from which `waiting` can be read."""

    def __init__(self):
        Signal.__init__(self)
        self.waiting = b""
        self.read = Faulty(self._read)

    def write(self, data):
        return len(data)

    def feed(self, data):
        self.waiting += data
        self.set(True)

    def _read(self, count):
        head, self.waiting = self.waiting[:count], self.waiting[count:]
        self.set(bool(self.waiting))
        return head


def test_a_host_on_a_line_survives_each_exception_of_the_line():
    async def main():
        line = Line()
        host = SlipHost(line, "10.77.0.1")
        group = host.Multicast(b"\xef\1\2\3", 9000)
        for number, error in enumerate(ONCE):
            line.read.errors.append(error)
            line.feed(b"\xc0noise\xc0" + bytes(packet(b"\x0a\x4d\0\2\0\7", group.own, b"%d" % number)) + b"\xc0")
            while True:
                datagram = group.receive()
                if datagram:
                    break
                await asyncio.sleep(0.01)
            assert datagram == b"%d" % number
            assert host.overrun == number + 1 and host.error is error
        group.close()

    run_hasty(main)


async def ends_with(error, awaitable):
    try:
        await awaitable
    except OSError as raised:
        assert raised is error
        return
    raise AssertionError("it did not end")


def test_a_transport_that_is_gone_for_good_ends_its_tasks_audibly():
    """All who wait get the exception of the transport; side by side."""

    async def main():
        error = OSError(19)
        group, transport = await joined()
        town, other = await Town().start(), await Town().start()
        connection, link = await town.connect(b"a")
        served = []

        async def keep(connection):
            served.append(connection)
            await connection.receive()

        other.handler = keep
        other.service.close()
        other = await Town(handler=keep).start()
        lasting, _ = await other.connect(b"b")
        line = Line()
        end = SlipHost(line, "10.77.0.1").Multicast(b"\xef\1\2\3", 9000)
        for faulty, signal in ((transport.receive, transport.socket), (link.receive, link.socket), (line.read, line)):
            faulty.last = error
            signal.set(True)
        other.link.receive.last = error
        other.link.socket.set(True)
        waiting = [asyncio.create_task(wait) for wait in (group.__anext__(), connection.receive(), other.service.wait_closed())]
        for task in waiting:
            await ends_with(error, task)
        await ends_with(error, served[0].receive())
        await end.socket.wait()
        try:
            end.receive()
            raise AssertionError("the line is still there")
        except OSError as raised:
            assert raised is error
        for closing in (group, connection, lasting, end):
            closing.close()
        town.service.close()

    run_hasty(main)


def test_a_handler_learns_of_the_end_of_its_session_although_the_step_that_ended_it_failed():
    async def main():
        ended = []

        async def handler(connection):
            await connection.receive()
            ended.append(connection)

        town = await Town(handler=handler).start()
        connection, link = await town.connect(b"a")
        await until(lambda: town.service.listener.sessions)
        receive = town.service.listener.receive

        def fails(*arguments):
            town.service.listener.close(town.service.listener.sessions[0])
            town.service.listener.receive = receive
            raise MemoryError

        town.service.listener.receive = fails
        link.send(b"odd")
        await until(lambda: ended)
        town.service.close()
        connection.close()

    run(main)


def test_a_service_closes_its_transport_also_when_that_cannot_send():
    async def main():
        town = await Town().start()
        connection, _ = await town.connect(b"a")

        def fails(*arguments):
            raise OSError(101)

        town.link.send = fails
        town.service.close()
        assert town.link.closed
        connection.close()

    run(main)
