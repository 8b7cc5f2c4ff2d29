# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The network of its own without root: through a user namespace, also where root runs the test."""

import os
import socket
from pathlib import Path

from dicectl.net import namespace

GROUP = ("239.1.2.3", 50_000)


def _send():
    """Send within the namespace; return what the tap heard and lost, who we are there, and who that is outside."""
    tap = namespace.Tap(GROUP[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", GROUP)
    heard = [payload for _, payload in tap.read()]
    return heard, tap.lost(), os.getuid(), Path("/proc/self/uid_map").read_text().split()


def test_without_root_a_user_namespace_does(in_network, monkeypatch):
    """Where the kernel refuses the network namespace alone, we become root of a user namespace that has nobody else in it."""
    unshare = namespace._unshare

    def refuse(flags):
        if flags == namespace._CLONE_NEWNET:
            raise PermissionError(1, "Operation not permitted")
        unshare(flags)

    monkeypatch.setattr(namespace, "_unshare", refuse)
    uid = os.getuid()
    heard, lost, uid_inside, uid_map = in_network(_send)
    assert heard == [b"hello"]
    assert lost == 0
    assert uid_inside == 0
    assert uid_map == ["0", str(uid), "1"]


def _overrun():
    tap = namespace.Tap(GROUP[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(5000):
            sender.sendto(bytes(1200), GROUP)
    heard = len(tap.read())
    return heard, tap.lost(), tap.lost()


def test_a_tap_tells_what_it_lost(in_network):
    """A tap that is not read in time misses frames, and says how many, once."""
    heard, lost, later = in_network(_overrun)
    assert lost > 0
    assert heard + lost == 5000
    assert later == 0
