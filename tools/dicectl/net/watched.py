# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A DTLS session that people watch: a transport that counts and describes datagrams, and lines of standard input as messages."""

import asyncio
import contextlib
import os
import sys
import threading
import time

from dicectl.net.dissect import describe, keylog
from dicectl.text import printable

_LAST_ANSWER_S = 1  # after the last line, before the session is closed


class WatchedTransport:
    """A transport that counts datagrams and bytes, and calls `log(line)`, if given, with a line for each datagram."""

    def __init__(self, transport, log=None):
        self.socket = transport.socket
        self.sent = {"datagrams": 0, "bytes": 0}
        self.received = {"datagrams": 0, "bytes": 0}
        self._transport = transport
        self._log = log
        self._start = time.monotonic()

    def _count(self, arrow, counts, datagram):
        counts["datagrams"] += 1
        counts["bytes"] += len(datagram)
        if self._log:
            self._log(f"{time.monotonic() - self._start:7.3f} {arrow} {len(datagram):4} bytes  {describe(datagram)}")

    def send(self, datagram, address=None):
        """Send a datagram."""
        self._count("->", self.sent, datagram)
        self._transport.send(datagram, address)

    def receive(self):
        """Return (datagram or None, address)."""
        datagram, address = self._transport.receive()
        if datagram:
            self._count("<-", self.received, datagram)
        return datagram, address

    def close(self):
        """Close the transport."""
        self._transport.close()

    def counts(self):
        """Return a copy of the counts."""
        return {"sent": dict(self.sent), "received": dict(self.received)}


def append_keylog(path, session):
    """Append the session's master secret to a file in the NSS key log format, which only its owner may read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w") as file:
        file.write(keylog(session) + "\n")


def _stdin_lines():
    """Return a queue of the lines of standard input, followed by None.

    A thread reads the file descriptor. It does not use Python's buffered sys.stdin, whose lock the thread would still hold when the
    program exits.
    """
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue()

    def read():
        rest, part = b"", b"-"
        with contextlib.suppress(RuntimeError):  # the program has ended
            try:
                while part:
                    part = os.read(sys.stdin.fileno(), 1 << 16)
                    *lines, rest = (rest + part).split(b"\n")
                    if not part and rest:
                        lines.append(rest)
                    for line in lines:
                        loop.call_soon_threadsafe(queue.put_nowait, line + b"\n")
            except (OSError, ValueError) as error:  # a terminal that was closed: the last line was read
                print(f"standard input: {error}", file=sys.stderr)
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, daemon=True).start()
    return queue


async def _send_lines(connection):
    """Send each line of standard input. After the last one, give the peer a moment to answer, and close."""
    lines = _stdin_lines()
    try:
        while (line := await lines.get()) is not None:
            await connection.send(line)
        await asyncio.sleep(_LAST_ANSWER_S)
    finally:
        connection.close()


async def pipe(connection):
    """Send the lines of standard input, and write what the peer sends to standard output, until one of them ends."""
    sending = asyncio.ensure_future(_send_lines(connection))
    try:
        async for data in connection:
            sys.stdout.write(printable(data, "\n\t"))
            sys.stdout.flush()
    finally:
        sending.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sending  # raises its error
