# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Connects a client and a server with long certificates at an MTU of 128 bytes; prints how much each side holds, as JSON.

heap_of_flights.py SIZE_OF_SERVER SIZE_OF_CLIENT BYTES_MAX: `held`, the most between two calls without garbage, and `call`, the most
that one call allocates, garbage included, each in bytes as (client, server).
"""

import gc
import json
import os
import sys

from long_certificates import Long

from dice.dtls.client import Client
from dice.dtls.record_layer import RecordLayer
from dice.dtls.server import Server
from dice.dtls.session import Session

MTU = 128
held = [0, 0]  # now
most = [0, 0]
call = [0, 0]
on_the_way = bytearray(MTU)


def measured(side, function, *arguments):
    """Call a function of a side, and return what it returns."""
    gc.collect()
    gc.collect()
    before = gc.mem_alloc()
    result = function(*arguments)
    call[side] = max(call[side], gc.mem_alloc() - before)
    gc.collect()
    gc.collect()
    held[side] += gc.mem_alloc() - before
    most[side] = max(most[side], held[side])
    return result


def made(role, credentials):
    return Session(role(credentials, os.urandom), RecordLayer(), 0, 9000, MTU)


def transmit(session):
    """Put the next datagram into `on_the_way`; return its length, 0 if there is none."""
    datagram = session.transmit() or b""
    size = len(datagram)
    on_the_way[:size] = datagram
    return size


def main(sizes, bytes_max):
    """Let both connect, and print."""
    credentials = Long(sizes[1], bytes_max), Long(sizes[0], bytes_max)
    made(Client, credentials[0])
    gc.disable()
    sides = [measured(0, made, Client, credentials[0]), measured(1, made, Server, credentials[1])]
    for _ in range(8):
        for side in (0, 1):
            size = measured(side, transmit, sides[side])
            while size:
                measured(1 - side, sides[1 - side].receive, memoryview(on_the_way)[:size], 0)
                size = measured(side, transmit, sides[side])
    print(json.dumps({"held": most, "call": call, "left": held, "connected": [session.connected for session in sides]}))


main([int(word) for word in sys.argv[1:3]], int(sys.argv[3]))
