# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The defaults of dice.serve on a computer: 200 clients at once get in, and stay; and a session's handler learns how it ended."""

import asyncio
import contextlib

import dice
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.errors import DiceError
from dice.reasons import E_EVICTED, E_REPLACED
from host_tests.patience import soon
from host_tests.ports import HOST, free_port

CLIENTS = 200
KEY = bytes(range(16))


class Everybody(dict):
    """Each identity has the key."""

    def get(self, identity):
        return KEY


async def _echo(connection):
    async for message in connection:
        await connection.send(message)


async def _connect_all(port):
    service = await dice.serve(port, PskLookup(Everybody().get), _echo)
    connections = await asyncio.gather(
        *(dice.connect((HOST, port), Psk(b"client %d" % number, KEY), timer_ms=1000) for number in range(CLIENTS))
    )
    answers = []
    for connection in connections:
        await connection.send(connection.session.layer.peer_cid)
        answers.append(await soon(connection.receive()))
    refused, sessions = service.listener.refused, len(service.listener.sessions)
    for connection in connections:
        connection.close()
    service.close()
    return refused, sessions, answers


def test_200_clients_at_once_connect_with_the_defaults():
    refused, sessions, answers = asyncio.run(_connect_all(free_port()))
    assert (refused, sessions) == (0, CLIENTS)
    assert len(set(answers)) == CLIENTS and {len(cid) for cid in answers} == {4}, "each has a connection id of its own"


def test_a_handler_learns_whether_its_session_was_replaced_evicted_or_closed():
    ends = {}

    async def main():
        async def handle(connection):
            number = len(ends)
            ends[number] = None
            reason = 0
            try:
                async for _ in connection:
                    pass
            except DiceError as error:
                reason = error.reason
            ends[number] = reason

        port = free_port()
        service = await dice.serve(port, PskLookup(Everybody().get), handle, sessions_max=1)
        first = await dice.connect((HOST, port), Psk(b"a", KEY), timer_ms=1000)
        transport = first._owner._transport  # the same address once more
        again = await dice.connect((HOST, port), Psk(b"a", KEY), timer_ms=1000, transport=Shared(transport))
        other = await dice.connect((HOST, port), Psk(b"b", KEY), timer_ms=1000)
        while ends.get(1) is None:
            await asyncio.sleep(0.01)
        other.close()
        while ends.get(2) is None:
            await asyncio.sleep(0.01)
        for connection in (first, again):
            with contextlib.suppress(OSError):
                connection.close()
        service.close()

    asyncio.run(asyncio.wait_for(main(), 60))
    assert ends == {0: E_REPLACED, 1: E_EVICTED, 2: 0}


class Shared:
    """A second transport on the socket of a first one, whose endpoint no longer reads."""

    def __init__(self, other):
        self._other = other
        self.socket = other.socket
        self._receive = other.receive
        other.receive = lambda: (None, None)

    def send(self, datagram, address=None):
        self._other.send(datagram, address)

    def receive(self):
        return self._receive()

    def close(self):
        pass
