# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A node with CoAP resources over DTLS, a server for other implementations, on CPython and MicroPython: PORT IDENTITY.

`time` counts its readers, `shelf` stores what is put there, `ticker` notifies its observers of changes, `slow` responds later.
The key arrives in hex on the first line of standard input; "ready" is printed when the port is bound.
"""

import asyncio
import sys
from binascii import unhexlify

import dice
from dice.aio.coap import Coap
from dice.coap.codes import CHANGED, CONTENT, GET, OBSERVE, PUT
from dice.coap.message import uint
from dice.coap.resource import Router
from dice.dtls.kx_psk_server import PskLookup

port, identity = int(sys.argv[1]), sys.argv[2].encode()
key = unhexlify(sys.stdin.readline().strip())
shelf = [b"empty"]
readers = [0]
tasks = []


def count_readers(request, peer):
    """Return how often this resource was read."""
    readers[0] += 1
    return CONTENT, b"%d" % readers[0]


def put(request, peer):
    """Store the payload."""
    shelf[0] = bytes(request.payload)
    return CHANGED, b""


async def tick(request, peer):
    """Send an observer three notifications."""
    for number in (2, 3, 4):
        await asyncio.sleep(0.1)
        await peer.respond(request, (CONTENT, b"tick %d" % number, [(OBSERVE, uint(number))]))


def observe(request, peer):
    """Start notifications if the request asks for them."""
    if request.option(OBSERVE) is None:
        return CONTENT, b"tick"
    tasks.append(asyncio.create_task(tick(request, peer)))
    return CONTENT, b"tick 1", [(OBSERVE, uint(1))]


async def late(request, peer):
    """Send a separate response."""
    await asyncio.sleep(0.1)
    await peer.respond(request, (CONTENT, b"late"))


def slow(request, peer):
    """Acknowledge only; the response follows."""
    tasks.append(asyncio.create_task(late(request, peer)))


ROUTES = {
    "time": {GET: count_readers},
    "shelf": {GET: lambda request, peer: (CONTENT, shelf[0]), PUT: put},
    "ticker": {GET: observe},
    "slow": {GET: slow},
}


async def serve(connection):
    """Serve one client."""
    await Coap(connection, Router(ROUTES), blockwise=True).closed()


async def main():
    """Serve until killed."""
    await dice.serve(port, PskLookup({identity: key}.get), serve, timer_ms=1000)
    print("ready")
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
    while True:
        await asyncio.sleep(60)


asyncio.run(main())
