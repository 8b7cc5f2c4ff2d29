# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's own `tls`, a DTLS 1.2 client and server in one program, connected in memory; `dicectl bench` compares dice with it.

Reads the server's certificate and key from `tls_cert.der` and `tls_key.der`. Prints nothing if that `tls` has no DTLS; else JSON
lines as bench.py does: first {"interpreter", "suite", "session_bytes": what one client takes of the heap, "psk": the suite
of its handshake with a pre-shared key, or None if it has none}, then of each measurement {"name", "size", "us", "repetitions",
"rounds"}, of which the best round counts; fewer of them on a board, whose clock is not disturbed. On the unix port mbedTLS has its
memory from the C library, so that `session_bytes` is None there.
"""

import gc
import io
import json
import sys
import time

import tls

SIZE = 64
STEPS_MAX = 40
SUITE = "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"
PSK_SUITE = "TLS-PSK-WITH-AES-128-GCM-SHA256"


class Wire(io.IOBase):
    """One end of a connection in memory that carries datagrams."""

    def __init__(self, incoming, outgoing):
        self._incoming = incoming
        self._outgoing = outgoing

    def write(self, data):
        """Send a datagram."""
        self._outgoing.append(bytes(data))
        return len(data)

    def readinto(self, buffer):
        """Receive a datagram and return its length, or None if there is none."""
        if not self._incoming:
            return None
        datagram = self._incoming.pop(0)
        buffer[: len(datagram)] = datagram
        return len(datagram)

    def ioctl(self, request, argument):
        """Accept every request."""
        return 0


class Pair:
    """A client and a server, and the microseconds that each has used for the handshake."""

    def __init__(self, server_context, context):
        self._up, self._down = [], []
        self._server_context = server_context
        before = allocated()
        self.client = context.wrap_socket(Wire(self._down, self._up), do_handshake_on_connect=False)
        self.session_bytes = None if sys.platform == "linux" else allocated() - before
        self.server = self._make_server()
        self.client_us, self.server_us = self._shake_hands()

    def _make_server(self):
        wire = Wire(self._up, self._down)
        try:
            return self._server_context.wrap_socket(wire, server_side=True, do_handshake_on_connect=False, client_id=b"client")
        except TypeError:  # MicroPython 1.25 has no cookies
            return self._server_context.wrap_socket(wire, server_side=True, do_handshake_on_connect=False)

    def _shake_hands(self):
        client_us = server_us = 0
        for _ in range(STEPS_MAX):
            client_us += go_on(self.client)
            try:
                server_us += go_on(self.server)
            except OSError:
                if server_us:
                    raise
                self.server = self._make_server()  # the old one has requested a cookie, without keeping state
            if not self._up and not self._down and self.server.write(b"x"):
                return client_us, server_us
        raise OSError("no end of the handshake")


def with_certificate():
    """Return a Pair whose server shows a certificate."""
    server_context = tls.SSLContext(tls.PROTOCOL_DTLS_SERVER)
    server_context.load_cert_chain(read("tls_cert.der"), read("tls_key.der"))
    context = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
    context.verify_mode = tls.CERT_NONE  # saves the verification of one signature
    context.set_ciphers([SUITE])
    return Pair(server_context, context)


def with_psk():
    """Return a Pair with a pre-shared key, or None before MicroPython 1.29, whose tls supports none."""
    server_context = tls.SSLContext(tls.PROTOCOL_DTLS_SERVER)
    context = tls.SSLContext(tls.PROTOCOL_DTLS_CLIENT)
    if not hasattr(context, "psk_key"):
        return None
    server_context.server_psk_keys = {b"node": bytes(range(16))}
    context.psk_identity, context.psk_key = b"node", bytes(range(16))
    context.verify_mode = tls.CERT_NONE
    for one in (server_context, context):
        one.set_ciphers([PSK_SUITE])
    return Pair(server_context, context)


def allocated():
    """Return the bytes of heap in use."""
    gc.collect()
    return gc.mem_alloc()


def go_on(end):
    """Let one end continue as far as possible, and return the microseconds."""
    start = time.ticks_us()
    end.read(1)
    return time.ticks_diff(time.ticks_us(), start)


def seal_and_open(pair, repetitions, rounds):
    """Return the microseconds to seal and to open a record, each from the best round."""
    payload = bytes(SIZE)
    seal_us = open_us = 1 << 29
    for _ in range(rounds):
        gc.collect()
        start = time.ticks_us()
        for _ in range(repetitions):
            pair.client.write(payload)
        between = time.ticks_us()
        for _ in range(repetitions):
            opened = pair.server.read(SIZE)
        end = time.ticks_us()
        if opened != payload:
            raise ValueError(opened)
        seal_us = min(seal_us, time.ticks_diff(between, start))
        open_us = min(open_us, time.ticks_diff(end, between))
    return seal_us / repetitions, open_us / repetitions


def read(name):
    """Return the bytes of a file."""
    with open(name, "rb") as file:
        return file.read()


def main(repetitions, rounds):
    """Measure and print the lines."""
    psk = with_psk()
    pair = with_certificate()
    interpreter = sys.implementation.name + " " + "%d.%d.%d" % tuple(sys.implementation.version[:3])
    suite = psk.client.cipher()[0] if psk else None
    head = {"suite": pair.client.cipher()[0], "session_bytes": pair.session_bytes, "psk": suite}
    head["interpreter"] = interpreter
    print(json.dumps(head))
    seal_us, open_us = seal_and_open(pair, repetitions, rounds)
    rows = [("seal", SIZE, seal_us, repetitions, rounds), ("open", SIZE, open_us, repetitions, rounds)]
    rows += [("handshake, client", 0, pair.client_us, 1, 1), ("handshake, server", 0, pair.server_us, 1, 1)]
    if psk:
        rows += [("PSK handshake, client", 0, psk.client_us, 1, 1), ("PSK handshake, server", 0, psk.server_us, 1, 1)]
    for name, size, us, repetitions, rounds in rows:
        us = round(max(us, 1 / repetitions), 3)  # the clock may be too coarse
        print(json.dumps({"name": "tls: " + name, "size": size, "us": us, "repetitions": repetitions, "rounds": rounds}))


if __name__ in ("__main__", sys.argv[0]) and hasattr(tls, "PROTOCOL_DTLS_CLIENT"):  # from MicroPython 1.25; not if it is imported
    main(*((5, 2) if "quick" in sys.argv[1:] or sys.platform == "rp2" else (50, 60)))
