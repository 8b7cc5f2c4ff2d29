# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Whether the manager's UDP socket can hold what all devices send at once, while the manager stores a change or does other work.

dice.transport.udp_system asks for large buffers. The system limits them, unless the process runs as root.
"""

import socket

DATAGRAM_BYTES = 1280  # that Linux counts for a short datagram, the memory of its own included


def problems(sock, devices):
    """Return a sentence in a list if a socket, or None, has no room for one datagram of each device; else an empty list."""
    if not hasattr(sock, "getsockopt"):
        return []
    room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    if room >= devices * DATAGRAM_BYTES:
        return []
    return [
        f"the system lets the UDP socket hold {room // DATAGRAM_BYTES} datagrams, and there are {devices} devices: "
        f"sysctl -w net.core.rmem_max={devices * DATAGRAM_BYTES} net.core.wmem_max={devices * DATAGRAM_BYTES}, and start it again"
    ]
