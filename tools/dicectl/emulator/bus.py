# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A serial bus between emulated boards."""

import select
import socket
import threading


class Bus:
    """Connects sockets as the two wires of RS-485 do: all others receive what one sends. send() adds one more device.

    `carried` lists (name, bytes) in the order of the wire, with the name None for send().
    """

    def __init__(self):
        self.carried = []
        self._streams = {}
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def join(self, name, stream):
        """Connect a socket."""
        with self._lock:
            self._streams[stream] = name

    def send(self, data):
        """Put bytes on the wires."""
        self._spread(None, None, data)

    def close(self):
        """Disconnect all sockets; they stay open."""
        self._open = False
        self._thread.join()

    def _spread(self, source, name, data):
        with self._lock:
            self.carried.append((name, bytes(data)))
            for stream in self._streams:
                if stream is not source:
                    try:
                        stream.send(data, socket.MSG_DONTWAIT)
                    except OSError:
                        pass  # nothing reads there: the bytes are lost, as on a wire

    def _carry(self):
        while self._open:
            with self._lock:
                streams = dict(self._streams)
            closed = [stream for stream in streams if stream.fileno() < 0]
            for stream in closed or select.select(streams, (), (), 0.02)[0]:
                try:
                    data = stream.recv(1 << 16)
                except OSError:  # its board has ended
                    data = b""
                if data:
                    self._spread(stream, streams[stream], data)
                else:
                    with self._lock:
                        del self._streams[stream]
