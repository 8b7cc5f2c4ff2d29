# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Hellos from 10,000 addresses to a server on MicroPython: its memory stays constant, and existing sessions are served."""

import asyncio
import itertools
import os
import socket
import subprocess
import threading
import time

from dice.aio import session as dtls
from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dicectl import resources
from dicectl.firmware import unix_port

PORT = 5684
KEY = bytes(range(16))
ADDRESSES = 10_000
SERVER = """
import asyncio, gc, dice
from dice.dtls.kx_psk_server import PskLookup

async def report(connection):
    async for message in connection:
        gc.collect()
        said = gc.mem_alloc(), len(service.listener.half_open), len(service.listener.sessions), service.listener.refused
        await connection.send(repr(said).encode())

async def main():
    global service
    service = await dice.serve(%d, PskLookup({b"node": %r}.get), report, timer_ms=1000)
    print("ready")
    await service.wait_closed()

asyncio.run(main())
"""


def _flood(answered):
    """Send a hello from each of many addresses of loopback without reading answers; continue until `answered`."""
    hello = bytes(Session(Client(Psk(b"node", KEY), os.urandom), RecordLayer(), 0).transmit())
    for number in itertools.takewhile(lambda number: number < ADDRESSES or not answered.is_set(), itertools.count()):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((f"127.{1 + number // 50_000}.{number // 250 % 250}.{1 + number % 250}", 0))
            sock.sendto(hello, ("127.0.0.1", PORT))
        if number % 100 == 0:
            time.sleep(0.02)  # else most would overflow the server's queue


async def _ask_state(connection):
    """Ask until an answer arrives. The socket's queue is full of hellos, so a datagram may be lost."""
    while True:
        await connection.send(b"how are you?")
        try:
            return eval(await asyncio.wait_for(connection.receive(), 1))
        except asyncio.TimeoutError:
            pass


async def _watch():
    connection = await dtls.connect(("127.0.0.1", PORT), Psk(b"node", KEY), timer_ms=1000)
    await _ask_state(connection)
    before = await _ask_state(connection)
    answered = threading.Event()
    flood = asyncio.get_running_loop().run_in_executor(None, _flood, answered)
    during = 0
    while not flood.done():
        await _ask_state(connection)
        during += not flood.done()
        if during:
            answered.set()
        await asyncio.sleep(0.05)
    await flood
    await _ask_state(connection)  # this answer may belong to an earlier request
    after = await _ask_state(connection)
    connection.close()
    return before, during, after


def _serve_and_watch(folder):
    argv = [unix_port.find(), "-X", "heapsize=256k", "-c", SERVER % (PORT, KEY)]
    environment = unix_port.environment(resources.LIB)
    server = subprocess.Popen(argv, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"ready\n", server.stderr.read().decode()
        measured = asyncio.run(_watch())
        assert server.poll() is None, server.stderr.read().decode()
        return measured
    finally:
        server.kill()
        server.communicate()


def test_hellos_from_ten_thousand_addresses_cost_no_memory(in_network, tmp_path):
    before, during, after = in_network(_serve_and_watch, tmp_path)
    print(f"heap, half open, sessions, refused: {before} before, {after} after; answered {during} times meanwhile")
    assert after[1:] == before[1:] == (0, 1, 0)
    assert during
    assert abs(after[0] - before[0]) < 1024, "the heap grew"
