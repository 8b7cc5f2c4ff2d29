# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""python-mbedtls (Mbed TLS 2.28) as a program: argv is role, port, identity, suite; the key in hex is in $DICE_PSK.

A server answers with "echo" and the message, a client sends "ask python-mbedtls"; both print what they receive. The session is
closed when standard input ends.
"""

import os
import select
import socket
import sys

from mbedtls import tls
from mbedtls.exceptions import TLSError

HOST = "127.0.0.1"


def step(call, *arguments):
    """Call a TLS function; return its result, or None if it waits for the peer."""
    try:
        return call(*arguments)
    except (tls.WantReadError, tls.WantWriteError):
        return None


class Endpoint:
    """A DTLS client or server on a UDP socket of its own."""

    def __init__(self, role, port, identity, suite):
        key = bytes.fromhex(os.environ["DICE_PSK"])
        options = {"pre_shared_key_store": {identity: key}} if role == "server" else {"pre_shared_key": (identity, key)}
        options |= {"ciphers": [suite], "validate_certificates": False, "lowest_supported_version": tls.DTLSVersion.DTLSv1_2}
        self.is_server = role == "server"
        kind = tls.ServerContext if self.is_server else tls.ClientContext
        self._context = kind(tls.DTLSConfiguration(**options))
        self.wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if self.is_server:
            self.wire.bind((HOST, port))
        self.peer = None if self.is_server else (HOST, port)
        self.restart()

    def restart(self):
        """Discard the session."""
        self.tls = self._context.wrap_buffers() if self.is_server else self._context.wrap_buffers(None)
        self.is_connected = False

    def flush(self):
        """Send the datagrams that TLS has prepared."""
        while out := self.tls.peek_outgoing(16384):
            for datagram in datagrams(out):
                self.wire.sendto(datagram, self.peer)
            self.tls.consume_outgoing(len(out))

    def continue_handshake(self):
        """Continue the handshake; return whether it is complete."""
        while self.tls._handshake_state is not tls.HandshakeStep.HANDSHAKE_OVER:
            try:
                self.tls.do_handshake()
            except tls.WantWriteError:
                pass
            except tls.WantReadError:
                self.flush()
                return False
            except tls.HelloVerifyRequest:
                self.flush()
                self.restart()
                self.tls.setcookieparam(repr(self.peer).encode())
                return False
            self.flush()
        self.flush()
        self.is_connected = True
        return True


def datagrams(data):
    """Yield each record as a datagram."""
    while data:
        size = 13 + int.from_bytes(data[11:13], "big")
        yield data[:size]
        data = data[size:]


def main(role, port, identity, suite):
    """Serve or connect until standard input ends."""
    end, out = Endpoint(role, int(port), identity, suite), sys.stdout.buffer
    if role == "client" and end.continue_handshake():
        raise OSError("connected to nobody")
    while True:
        readable, _, _ = select.select([end.wire, sys.stdin], [], [])
        if end.wire in readable:
            datagram, source = end.wire.recvfrom(16384)
            if end.is_server and not end.is_connected and source != end.peer:
                end.peer = source
                end.restart()
                end.tls.setcookieparam(repr(source).encode())
            end.tls.receive_from_network(datagram)
            if not end.is_connected and end.continue_handshake() and not end.is_server:
                end.tls.write(b"ask python-mbedtls\n")
            try:
                message = step(end.tls.read, 2048) if end.is_connected else None
            except TLSError as error:
                out.write(b"closed: %s\n" % str(error).encode())
                end.peer = None
                end.restart()
                message = None
            if message:
                out.write(message + b"\n")
                if end.is_server:
                    end.tls.write(b"echo " + message.removeprefix(b"ask ").removeprefix(b"GET "))
            out.flush()
            end.flush()
        if sys.stdin in readable and not os.read(0, 1024):
            break
    if end.is_connected:
        end.tls.shutdown()
        end.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
