# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Pairs of sides that disagree in some way, and answer at once: how many datagrams ours send, each second and in all.

Ours have another key, or meet a network that changes the same bit of the same message for as long as they try, or a foreign side
that answers each datagram with what it has sent before. The latency is a millisecond, so two sides that only answer each other send
a thousand datagrams a second.
"""

import random

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CLOSED, NONE
from dice.limits import HELLO_VERIFY_REQUESTS_MAX, HELLOS_MAX, REPEAT_MIN_MS, REPEATS_MAX, RETRANSMISSIONS_MAX
from host_tests.seeds import seeds

KEY = bytes(16)
SECONDS = 20
DATAGRAMS = 2  # of one flight, with the shortest MTU here
FLIGHTS_A_SECOND = 1000 // REPEAT_MIN_MS + 2  # one at its start, one of its timer
SECOND_MAX = {
    "client": DATAGRAMS * FLIGHTS_A_SECOND + HELLO_VERIFY_REQUESTS_MAX,
    "server": DATAGRAMS * FLIGHTS_A_SECOND + FLIGHTS_A_SECOND,
}
FLIGHT_MAX = DATAGRAMS * (1 + RETRANSMISSIONS_MAX + REPEATS_MAX + 1)
TOTAL_MAX = {"client": FLIGHT_MAX * (2 + HELLO_VERIFY_REQUESTS_MAX), "server": 2 * FLIGHT_MAX + REPEATS_MAX}


class Pair:
    """A client and a listener of ours, and what lies between them. `sent` counts what each has sent, by second."""

    def __init__(self, seed):
        self.chance = chance = random.Random(seed)
        tickets = Tickets(chance.randbytes, 1 << 28, 0)
        self.server = Listener(
            PskLookup({b"a": KEY}.get),
            chance.randbytes,
            0,
            lambda address: address,
            timer_ms=1000,
            tickets=chance.choice((None, tickets)),
        )
        role = Client(
            Psk(b"a", chance.choice((KEY, b"wrong"))), chance.randbytes, chance.choice((None, b"")), tickets=chance.random() < 0.5
        )
        self.client = Session(role, RecordLayer(), 0, timer_ms=chance.choice((1000, 9000)), mtu=chance.choice((1232, 256)))
        self.fault = chance.choice(("none", "client", "server", "both"))
        self.change = {
            side: (chance.randrange(13, 120), 1 << chance.randrange(8), chance.randrange(4)) for side in ("client", "server")
        }
        self.echo = chance.choice((None, None, "client", "server"))  # the side that a foreign one takes the place of
        self.said = {"client": [], "server": []}
        self.sent = {"client": {}, "server": {}}
        self.requests = {}
        self.way = []  # (side that receives, datagram)

    def put(self, side, datagram, now):
        """One side sends."""
        datagram = bytes(datagram)
        if self.echo != side:
            counts = self.requests if datagram[13:14] == b"\3" and side == "server" else self.sent[side]
            counts[now // 1000] = counts.get(now // 1000, 0) + 1
        self.said[side].append(datagram)
        at, bit, number = self.change[side]
        if self.fault in (side, "both") and len(datagram) > at and len(self.said[side]) > number:
            datagram = datagram[:at] + bytes((datagram[at] ^ bit,)) + datagram[at + 1 :]
        self.way.append(("server" if side == "client" else "client", datagram))

    def receive(self, side, datagram, now):
        """One side receives; a foreign one repeats what it said last, or something of before."""
        if self.echo == side and len(self.said[side]) > self.change[side][2]:
            for again in self.chance.choice((self.said[side][-1:], self.said[side][-2:], [self.chance.choice(self.said[side])])):
                self.way.append(("server" if side == "client" else "client", again))
            return
        event = 1
        while event not in (NONE, CLOSED):
            event = self.server.receive(datagram, b"a", now)[0] if side == "server" else self.client.receive(datagram, now)
            datagram = b""

    def step(self, now):
        """A millisecond."""
        way, self.way = self.way[:50], []
        for side, datagram in way:
            self.receive(side, datagram, now)
        self.client.timeout(now)
        self.server.timeout(now)
        datagram = self.client.transmit()
        while datagram:
            self.put("client", datagram, now)
            datagram = self.client.transmit()
        out = self.server.transmit()
        while out:
            self.put("server", out[0], now)
            out = self.server.transmit()


def test_no_two_sides_fill_the_air():
    busiest = 0
    for seed in seeds(30):
        pair = Pair(seed)
        for now in range(1000 * SECONDS):
            pair.step(now)
        for side, counts in pair.sent.items():
            most, total = max(counts.values(), default=0), sum(counts.values())
            assert most <= SECOND_MAX[side] and total <= TOTAL_MAX[side], f"seed {seed}: {side} {most} in a second, {total} in all"
            busiest = max(busiest, most)
        assert max(pair.requests.values(), default=0) <= HELLOS_MAX, f"seed {seed}"
    assert busiest >= 3, "no pair repeated itself"
