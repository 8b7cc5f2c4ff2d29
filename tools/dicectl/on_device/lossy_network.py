# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A network in virtual time between a DTLS client and a server: it loses, duplicates and swaps datagrams, reproducibly from a seed.

For `dicectl bench`, and for the portable tests, which run on MicroPython too.
"""

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.errors import CLOSED, CONNECTED, NONE

KEY = bytes(range(16))
IDENTITY = b"node"
ADDRESS = b"\xc0\x00\x02\x07"
TIMER_MS = 1000
_FLIGHT_MS = 20  # latency
NAME = b"a" * 60 + b"." + b"b" * 60 + b"." + b"c" * 60 + b".example"  # a server name so long that a hello needs fragments
_END_MS = 1_200_000


class SeededRandom:
    """Pseudo-random numbers that are equal on all MicroPythons and CPythons; not for secrets."""

    def __init__(self, seed):
        self._state = seed + 0x1234567 & 0xFFFFFFFF
        for _ in range(8):
            self.roll(2)

    def roll(self, sides):
        """Return 0 .. sides - 1."""
        x = self._state  # xorshift32
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._state = x
        return (x >> 8) % sides

    def __call__(self, count):
        return bytes([self.roll(256) for _ in range(count)])


class Network:
    """Both ends, and the datagrams between them.

    `client` and `server` are the Session and the Listener; `connected` tells of each, in this order, whether it believes to be
    connected, and `ended` whether it has given up. `ms` is the time, `datagrams` and `bytes` what both have sent.
    """

    def __init__(self, seed, loss, reorder=False, duplicate=False, mtu=1232, server_tickets=None, credentials=None, **options):
        """Lose `loss` per cent; `options` are those of client.Client, `server_tickets` a resumption.Tickets.

        `credentials` are those of client and server, by default a PSK.
        """
        self._chance = chance = SeededRandom(seed)
        self._loss, self._reorder, self._duplicate = loss, reorder, duplicate
        options["cid"] = options.get("cid")
        ours, theirs = credentials or (Psk(IDENTITY, KEY), PskLookup({IDENTITY: KEY}.get))
        self.client = Session(Client(ours, chance, **options), RecordLayer(), 0, timer_ms=TIMER_MS, mtu=mtu)
        self.server = Listener(theirs, chance, 0, lambda address: address, tickets=server_tickets, timer_ms=TIMER_MS, mtu=mtu)
        self.connected = [False, False]
        self.ended = [False, False]
        self.ms = self.datagrams = self.bytes = 0
        self._way = []  # (arrival time, whether at the server, datagram)

    def run(self):
        """Run until both ends are connected, or until the client gave up and the server dropped its session; return self."""
        while not all(self.connected) and (self.server.half_open or not self.ended[0]):
            self._flush()
            due = [entry[0] for entry in self._way]
            due += [when for when in (self.client.deadline(), self.server.deadline()) if when is not None]
            if min(due) > _END_MS:
                break
            self.ms = now = max(self.ms, min(due))
            arrived = [entry for entry in self._way if entry[0] <= now]
            self._way = [entry for entry in self._way if entry[0] > now]
            for _, to_server, datagram in arrived:
                self._deliver(to_server, datagram)
            self._note(self.client.timeout(now), 0)
            if self.server.timeout(now):
                self._note(CLOSED, 1)
        return self

    def _deliver(self, to_server, datagram):
        event = CONNECTED
        while event not in (NONE, CLOSED):
            event = self.server.receive(datagram, ADDRESS, self.ms)[0] if to_server else self.client.receive(datagram, self.ms)
            self._note(event, to_server)
            datagram = b""

    def _flush(self):
        datagram = self.client.transmit()
        while datagram:
            self._put(True, datagram)
            datagram = self.client.transmit()
        out = self.server.transmit()
        while out:
            self._put(False, out[0])
            out = self.server.transmit()

    def _put(self, to_server, datagram):
        self.datagrams += 1
        self.bytes += len(datagram)
        for _ in range(2 if self._duplicate and self._chance.roll(5) == 0 else 1):
            if self._chance.roll(100) >= self._loss:
                late_ms = self._chance.roll(60) if self._reorder else 0
                self._way.append((self.ms + _FLIGHT_MS + late_ms, to_server, bytes(datagram)))

    def _note(self, event, end):
        if event == CONNECTED:
            self.connected[end] = True
        elif event == CLOSED:
            self.connected[end] = False
            self.ended[end] = True
