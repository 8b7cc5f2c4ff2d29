# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The buffers of a server's socket, and what the manager says if the system gives less than it needs."""

import os
import socket
from pathlib import Path

from dice.transport.udp import Unicast
from dicectl.manager import socket_buffer
from host_tests.ports import HOST, free_port


def test_a_server_asks_for_large_buffers_and_a_system_that_gives_less_is_reported():
    server = Unicast(None, 0, "127.0.0.1")
    client = Unicast((HOST, free_port()))
    try:
        given, usual = (end.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for end in (server, client))
        most = int(Path("/proc/sys/net/core/rmem_max").read_text())
        assert given >= 2 * (1 << 23 if os.geteuid() == 0 else min(most, 1 << 23)) > 0 and usual < given
        room = given // socket_buffer.DATAGRAM_BYTES
        assert socket_buffer.problems(server.socket, room) == socket_buffer.problems(None, 1 << 20) == []
        (said,) = socket_buffer.problems(server.socket, room + 1)
        assert "sysctl -w net.core.rmem_max=" in said and str(room) in said
    finally:
        server.close()
        client.close()
