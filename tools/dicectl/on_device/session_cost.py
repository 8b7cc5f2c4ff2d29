# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures a DTLS session on the client, with a pre-shared key, or raw public keys if its argument is "rpk".

`dicectl footprint` and `dicectl bench` run it on MicroPython.

Both ends run on the device, with the cookie exchange. Prints one JSON object: "client_us" and "server_us", the time in each
end's calls; "datagrams" and "bytes" of the handshake; "heap", the bytes of heap of a connected client; "peak", the most that it
holds between two calls meanwhile, its flights and what is half received included; and "record", bytes on the wire beyond the data.
"""

import gc
import json
import sys
import time

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session

MICROPYTHON = sys.implementation.name == "micropython"
KEY = bytes(range(16))
IDENTITY = b"node"
ADDRESS = b"\xc0\x00\x02\x01"
_SCRUB = 40 if sys.platform in ("linux", "darwin") else 16  # nested calls; the stack of a board is short


def now_us():
    """Return microseconds."""
    return time.ticks_us() if MICROPYTHON else time.monotonic_ns() // 1000


def elapsed_us(end, start):
    """Return `end - start`."""
    return time.ticks_diff(end, start) if MICROPYTHON else end - start


def scrub(depth):
    """Overwrite stale values on the C stack, which the collector would treat as pointers."""
    values = [0] * 8
    if depth:
        scrub(depth - 1)
    return values


def allocated():
    """Return the bytes of heap in use."""
    for _ in range(2):
        scrub(_SCRUB)
        gc.collect()
    return gc.mem_alloc() if MICROPYTHON else 0


class Numbers:
    """A source of predictable bytes, in constant time, instead of random bytes: this session needs no secrets."""

    def __init__(self):
        self._next = 0

    def __call__(self, count):
        self._next += 1
        return bytes([self._next & 0xFF] * count)


def psk():
    """Return the credentials of both ends."""
    return Psk(IDENTITY, KEY), PskLookup({IDENTITY: KEY}.get)


def rpk():
    """Return the credentials of both ends, raw public keys, both of which are proved."""
    from dice.dtls.kx_rpk import RawPublicKey
    from dice.dtls.kx_rpk_server import RawPublicKeyServer

    theirs = RawPublicKeyServer(bytes(range(33, 65)), lambda identity: True)
    return RawPublicKey(bytes(range(1, 33)), [theirs.point]), theirs


def handshake(heap, credentials=psk):
    """Run a handshake; return ({figures}, heap in use, peak heap, client). Measure the heap if `heap`, otherwise the time."""
    random = Numbers()
    ours, theirs = credentials()
    server = Listener(theirs, random, 0, lambda address: address)
    spent = [0, 0]
    before = allocated() if heap else 0
    start = now_us()
    client = Session(Client(ours, random, cid=None), RecordLayer(), 0)
    spent[0] += elapsed_us(now_us(), start)
    held = peak = allocated() - before if heap else 0
    sent = []

    def call(end, function, *arguments):
        nonlocal held, peak
        before = allocated() if heap else 0
        start = now_us()
        result = function(*arguments)
        spent[end] += elapsed_us(now_us(), start)
        if heap and end == 0:
            held += allocated() - before
            peak = max(peak, held)
        return result

    for _ in range(8):
        datagram = call(0, client.transmit)
        while datagram:
            sent.append(len(datagram))
            call(1, server.receive, datagram, ADDRESS, 0)
            datagram = call(0, client.transmit)
        out = call(1, server.transmit)
        while out:
            sent.append(len(out[0]))
            call(0, client.receive, out[0], 0)
            out = call(1, server.transmit)
        if client.connected:
            break
    if not client.connected:
        raise ValueError("no session")
    figures = {"client_us": spent[0], "server_us": spent[1], "datagrams": len(sent), "bytes": sum(sent)}
    client.send(bytes(64), 0)
    figures["record"] = len(client.transmit()) - 64
    return figures, held, peak, client


def main():
    """Measure and print the results."""
    credentials = rpk if sys.argv[1:] == ["rpk"] else psk
    handshake(False, credentials)  # for imports and what is created once
    gc.collect()
    figures, _, _, client = handshake(False, credentials)
    client.close()
    client = None
    figures["heap"], figures["peak"] = handshake(True, credentials)[1:3]
    print(json.dumps(figures))


if __name__ in ("__main__", sys.argv[0]):  # not if footprint_stages imports it
    main()
