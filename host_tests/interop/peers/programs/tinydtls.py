# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""tinydtls as a program: argv is role, port, identity; the key in hex is in $DICE_PSK.

A server answers with "echo" and the message, a client sends "ask tinydtls"; both print what they receive. The session is closed
when standard input ends.
"""

import os
import select
import socket
import sys
import time

from DTLSSocket import dtls

HOST = "::ffff:127.0.0.1"  # the only form of address that the Python wrapper of tinydtls supports
_CONNECTED = 0x1DE


class Endpoint:
    """A DTLS client or server on a UDP socket of its own."""

    def __init__(self, role, port, identity):
        self._is_server = role == "server"
        self._out = sys.stdout.buffer
        self.wire = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._received, self._events = [], []
        name, key = identity.encode(), bytes.fromhex(os.environ["DICE_PSK"])
        self._dtls = dtls.DTLS(read=self._read, write=self._write, event=self._event, pskId=name, pskStore={name: key})
        self._sessions = {}
        self._server = (HOST, port)
        if self._is_server:
            self.wire.bind(self._server)
        else:
            self._sessions[self._server] = self._dtls.connect(*self._server)

    def _write(self, address, data):
        return self.wire.sendto(data, address)

    def _read(self, address, data):
        self._received.append((address, data))
        return len(data)

    def _event(self, level, code):
        self._out.write(b"event %d %d\n" % (level, code))
        self._events.append(code)

    def take(self):
        """Receive a datagram."""
        datagram, source = self.wire.recvfrom(2048)
        source = source[:2]
        if self._is_server and source not in self._sessions:
            self._sessions[source] = dtls.Session(*source)
        self._dtls.handleMessage(self._sessions[source], datagram)

    def talk(self):
        """Send the question once connected, and answer received messages."""
        if not self._is_server and _CONNECTED in self._events:
            self._dtls.write(self._sessions[self._server], b"ask tinydtls\n")
        self._events.clear()
        for address, data in self._received:
            self._out.write(data + b"\n")
            if self._is_server:
                self._dtls.write(self._sessions[address], b"echo " + data.removeprefix(b"ask ").removeprefix(b"GET "))
        self._received.clear()
        self._out.flush()

    def repeat(self):
        """Retransmit what is due."""
        self._dtls.checkRetransmit()

    def close(self):
        """Close a client's session."""
        if not self._is_server:
            self._dtls.close(self._sessions[self._server])


def main(role, port, identity):
    """Serve or connect until standard input ends."""
    end = Endpoint(role, port, identity)
    next_check = time.monotonic() + 0.5
    while True:
        readable, _, _ = select.select([end.wire, sys.stdin], [], [], 0.1)
        if end.wire in readable:
            end.take()
        end.talk()
        if time.monotonic() > next_check:
            end.repeat()
            next_check = time.monotonic() + 0.5
        if sys.stdin in readable and not os.read(0, 1024):
            break
    end.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
