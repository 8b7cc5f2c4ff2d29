# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures a handshake of MicroPython's own `tls` with certificates, as key_handshakes.py does for dice.

Both ends prove who they are. The client verifies a chain of a leaf and its issuer up to the root, and sends one of its own. Prints
one JSON object: "client_us", "server_us" and "elapsed_us"; "datagrams" and "bytes", without what is retransmitted, because the
timer of `tls` is one second and the peer is slow; "heap", the bytes of heap of a client after its handshake, and "peak", the most
of it when it sends or receives a datagram; "suite".

Certificates and keys are files, see measure/chains.py. `tls` reads one certificate at a time, so a chain is loaded in two steps.
"""

import gc
import json
import sys
import time

import tls
from tls_dtls import STEPS_MAX, SUITE, Wire, allocated, read

NAME = "manager.home.arpa"
HANDSHAKE = 22  # content type (RFC 5246, section 6.2.1)


class Counted(Wire):
    """One end of a connection that counts what it sends for the first time, and calls `watch` before it sends or receives."""

    def __init__(self, incoming, outgoing, watch=None):
        super().__init__(incoming, outgoing)
        self._watch = watch
        self._known = set()
        self.datagrams = self.bytes = 0

    def write(self, data):
        """Send a datagram."""
        if self._watch:
            self._watch()
        size, at = 0, 0
        while at < len(data):
            end = at + 13 + int.from_bytes(data[at + 11 : at + 13], "big")
            record = (
                -1
            )  # of the ChangeCipherSpec, or of the Finished: only that is sealed (epoch 1), and not the same a second time
            if data[at + 4]:
                record = -2
            elif data[at] == HANDSHAKE:  # number of the message, offset of the fragment
                record = data[at + 18] << 16 | data[at + 20] << 8 | data[at + 21]
            if record not in self._known:
                self._known.add(record)
                size += end - at
            at = end
        self.datagrams += size > 0
        self.bytes += size
        return super().write(data)

    def readinto(self, buffer):
        """Receive a datagram."""
        if self._watch:
            self._watch()
        return super().readinto(buffer)


class Heap:
    """The bytes of heap that the client holds, and the most of it, if each of its calls is made by `call`.

    Datagrams under way do not count.
    """

    def __init__(self, *wires):
        self._wires = wires  # lists of datagrams
        self._before = 0
        self.held = self.peak = 0

    def _used(self):
        return allocated() - sum(sum(map(len, wire)) for wire in self._wires)

    def look(self):
        """Look at the heap within a call."""
        self.peak = max(self.peak, self.held + self._used() - self._before)

    def call(self, function):
        """Call a function of the client; return its result."""
        self._before = self._used()
        result = function()
        self.held += self._used() - self._before
        self.peak = max(self.peak, self.held)
        return result


def context(protocol, usage):
    """Return the context of an end, with its certificates, that verifies those of its peer."""
    made = tls.SSLContext(protocol)
    for name in (usage, "middle"):
        made.load_cert_chain(read(name + ".der"), read(usage + ".key"))
    made.load_verify_locations(read("root.der"))
    made.verify_mode = tls.CERT_REQUIRED
    made.set_ciphers([SUITE])
    return made


def call(function):
    """Call a function."""
    return function()


def handshake(contexts, measured=False):
    """Return ({figures}, the client) of a handshake between two contexts: times, or "peak" and "heap" if `measured`."""
    spent = [0, 0]
    up, down = [], []
    heap = Heap(up, down) if measured else None
    calls = heap.call if measured else call, call
    wires = [Counted(down, up, heap and heap.look), Counted(up, down)]

    def timed(end, function):
        start = time.ticks_us()
        result = calls[end](function)
        spent[end] += time.ticks_diff(time.ticks_us(), start)
        return result

    start = time.ticks_us()
    client = timed(0, lambda: contexts[0].wrap_socket(wires[0], do_handshake_on_connect=False, server_hostname=NAME))
    server = timed(1, lambda: contexts[1].wrap_socket(wires[1], server_side=True, do_handshake_on_connect=False))
    for _ in range(STEPS_MAX):
        timed(0, lambda: client.read(1))
        timed(1, lambda: server.read(1))
        if not up and not down:
            elapsed_us = time.ticks_diff(time.ticks_us(), start)
            figures = {"client_us": spent[0], "server_us": spent[1], "elapsed_us": elapsed_us}
            figures["datagrams"], figures["bytes"] = (sum(getattr(wire, what) for wire in wires) for what in ("datagrams", "bytes"))
            if server.write(b"x"):
                break
    else:
        raise OSError("no end of the handshake")
    return {"peak": heap.peak, "heap": heap.held} if measured else figures, client


def main():
    """Measure and print."""
    contexts = context(tls.PROTOCOL_DTLS_CLIENT, "client"), context(tls.PROTOCOL_DTLS_SERVER, "server")
    figures, client = handshake(contexts)
    figures["suite"] = client.cipher()[0]
    client = None
    gc.collect()
    figures.update(handshake(contexts, True)[0])
    print(json.dumps(figures))


if __name__ in ("__main__", sys.argv[0]):
    main()
