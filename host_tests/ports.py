# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Ports for tests outside of a network namespace, where other tests and other programs have ports too."""

import socket

HOST = "127.0.0.1"


def free_port(kind=socket.SOCK_DGRAM):
    """Return a port of loopback that is free; the kernel does not soon give it to another program that asks for one."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
