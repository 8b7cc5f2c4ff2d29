# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Free ports for tests outside of a network namespace, which share the ports with other tests and programs."""

import socket

HOST = "127.0.0.1"


def free_port(kind=socket.SOCK_DGRAM):
    """Return a free port of loopback. The kernel does not soon give it to another program that asks for a free port."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
