# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.connect and dice.serve with raw public keys, over a transport in memory."""

from memory_transport import run, until
from remembered_curve import Remembered
from rpk_pair import OURS, THEIRS
from test_aio_session import TIMER_MS, EchoServer, talk

import dice
from dice.aio import service
from dice.dtls.kx_ecdsa import own_point, sha256_of
from dice.dtls.kx_rpk import write_key
from dice.errors import PeerError

CERTIFICATE_UNKNOWN = 46


def test_a_client_connects_with_its_key_and_one_with_another_key_does_not():
    known = {sha256_of(write_key(own_point(OURS))[3:]): "lamp"}

    async def main():
        server = EchoServer()
        keys = dice.RawPublicKeyServer(THEIRS, known.get)
        server.service = await service.serve(0, keys, server.begin, transport=server.transport, timer_ms=TIMER_MS)
        ours = dice.RawPublicKey(OURS, [keys.point])
        connection = await dice.connect(None, ours, transport=server.add_client(b"a"), timer_ms=TIMER_MS)
        await talk(connection, b"hello")
        assert server.connection.session.identity in known
        connection.close()
        await until(lambda: not server.service.listener.sessions)
        try:
            stranger = dice.RawPublicKey(bytes(31) + b"\3", [keys.point])
            await dice.connect(None, stranger, transport=server.add_client(b"b"), timer_ms=TIMER_MS)
        except PeerError as error:
            assert error.alert == CERTIFICATE_UNKNOWN
        else:
            raise AssertionError
        server.service.close()

    with Remembered():
        run(main)
