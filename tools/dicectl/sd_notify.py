# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Notifications to systemd, after sd_notify(3), without its library: one datagram to the socket that $NOTIFY_SOCKET names.

`dicectl manager run --detach` waits for the same notifications. Without that variable, nothing is sent.
"""

import os
import socket

READY, STOPPING, ALIVE = "READY=1", "STOPPING=1", "WATCHDOG=1"
_US = 1_000_000


def notify(*states):
    """Send states such as READY and status(text); return whether they were sent. Never raises."""
    name = os.environ.get("NOTIFY_SOCKET", "")
    if not name or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + name[1:] if name.startswith("@") else name  # the former is in Linux's abstract name space
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto("\n".join(states).encode(), address)
    except OSError:
        return False
    return True


def status(text):
    """Return the state that describes in one line what the service does, as `systemctl status` shows it."""
    return "STATUS=" + " ".join(text.split())


def watchdog_s():
    """Return how often to send ALIVE, half of the time that systemd waits for it; None if it does not wait."""
    try:
        limit_us = int(os.environ["WATCHDOG_USEC"])
        process = int(os.environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    return limit_us / 2 / _US if limit_us > 0 and process == os.getpid() else None
