# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A network namespace without root: through a user namespace, also if root runs the test."""

import os
import socket
from pathlib import Path

from dicectl.net import namespace

GROUP = ("239.1.2.3", 50_000)


def _send():
    """Send within the namespace; return (payloads and losses of the tap, user id inside, its mapping outside)."""
    tap = namespace.Tap(GROUP[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"hello", GROUP)
    received = [payload for _, payload in tap.read()]
    return received, tap.lost(), os.getuid(), Path("/proc/self/uid_map").read_text().split()


def test_without_root_a_user_namespace_is_used(in_network, monkeypatch):
    """If the kernel refuses a network namespace alone, the process becomes root of a user namespace with only its own user."""
    unshare = namespace._unshare

    def refuse(flags):
        if flags == namespace._CLONE_NEWNET:
            raise PermissionError(1, "Operation not permitted")
        unshare(flags)

    monkeypatch.setattr(namespace, "_unshare", refuse)
    uid = os.getuid()
    received, lost, uid_inside, uid_map = in_network(_send)
    assert received == [b"hello"]
    assert lost == 0
    assert uid_inside == 0
    assert uid_map == ["0", str(uid), "1"]


def _overrun():
    tap = namespace.Tap(GROUP[1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(5000):
            sender.sendto(bytes(1200), GROUP)
    received = len(tap.read())
    return received, tap.lost(), tap.lost()


def test_a_tap_reports_lost_frames_once(in_network):
    """A tap that is not read in time loses frames and reports their number."""
    received, lost, later = in_network(_overrun)
    assert lost > 0
    assert received + lost == 5000
    assert later == 0
