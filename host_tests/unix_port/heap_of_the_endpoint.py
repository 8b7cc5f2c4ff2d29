# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Joins with `group.gsa`, receives the datagrams of the file `network` and sends a message of the same length after each.

test_memory.py makes the files and runs this, compiled, on a small heap. Prints a JSON list of (SenderID, received length,
length of the datagram sent).
"""
# ruff: noqa: E402 - the threshold must be set first

import gc

gc.threshold(4096)  # as a program on a small heap does: garbage of imports that is collected late fragments the heap

import asyncio
import io
import json

from dice.aio.group import join


class Transport(io.IOBase):
    """A file as a network; each datagram is preceded by its length."""

    def __init__(self, file):
        self.socket = self
        self.sent = 0
        self._file = file

    def ioctl(self, request, flags):
        """Answer the poll of asyncio: always ready."""
        return flags

    def receive(self):
        """Return the next datagram, or None."""
        length = int.from_bytes(self._file.read(2), "big")
        return self._file.read(length) if length else None

    def send(self, datagram):
        """Record the length of the datagram."""
        self.sent = len(datagram)

    def close(self):
        """Do nothing."""


async def main(file):
    """Exchange messages."""
    transport = Transport(file)
    group = await join("group.gsa", None, transport)
    results = []
    for _ in range(20):
        sender, message = await group.__anext__()
        await group.send(message)
        results.append((sender, len(message), transport.sent))
    print(json.dumps(results))


with open("network", "rb") as file:
    asyncio.run(main(file))
