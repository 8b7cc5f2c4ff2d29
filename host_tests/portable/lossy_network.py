# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A network in virtual time between a DTLS client and a server: it loses, doubles and swaps datagrams, the same for each seed."""

from dice.client import Client
from dice.errors import CLOSED, CONNECTED
from dice.kx_psk import Psk, PskLookup
from dice.listener import Listener
from dice.session import Session

KEY = bytes(range(16))
IDENTITY = b"node"
ADDRESS = b"\xc0\x00\x02\x07"
TIMER_MS = 1000
_FLIGHT_MS = 20  # from one end to the other
_END_MS = 600_000


class Dice:
    """Pseudo-random numbers that are the same on every MicroPython and CPython; nothing that is secret comes from them."""

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


class Outcome:
    """How a handshake ended: `client` and `server` tell whether each is connected, `ms` when, and what it took on the wire."""

    def __init__(self):
        self.client = self.server = self.failed = False
        self.ms = None
        self.datagrams = self.bytes = 0


def shake_hands(seed, loss, reorder=False, duplicate=False, mtu=1232, resume=None, tickets=None):
    """Return the Outcome of a handshake over a network that loses `loss` per cent."""
    chance = Dice(seed)
    client = Session(Client(Psk(IDENTITY, KEY), chance, cid=None, resume=resume), 0, timer_ms=TIMER_MS, mtu=mtu)
    options = {"timer_ms": TIMER_MS, "mtu": mtu, "tickets": tickets}
    server = Listener(PskLookup({IDENTITY: KEY}.get), chance, 0, lambda address: address, **options)
    outcome = Outcome()
    way = []  # [when it arrives, whether at the server, datagram]
    now = 0

    def put(to_server, datagram):
        outcome.datagrams += 1
        outcome.bytes += len(datagram)
        for _ in range(2 if duplicate and chance.roll(5) == 0 else 1):
            if chance.roll(100) >= loss:
                late_ms = chance.roll(60) if reorder else 0
                way.append([now + _FLIGHT_MS + late_ms, to_server, bytes(datagram)])

    def flush():
        datagram = client.transmit()
        while datagram:
            put(True, datagram)
            datagram = client.transmit()
        out = server.transmit()
        while out:
            put(False, out[0])
            out = server.transmit()

    def note(event, at_server):
        if event == CONNECTED:
            setattr(outcome, "server" if at_server else "client", True)
        elif event == CLOSED:
            outcome.failed = True

    while not (outcome.client and outcome.server) and not outcome.failed:
        flush()
        due = [entry[0] for entry in way] + [when for when in (client.deadline(), server.deadline()) if when is not None]
        if not due or min(due) > _END_MS:
            break
        now = max(now, min(due))
        arrived = [entry for entry in way if entry[0] <= now]
        way[:] = [entry for entry in way if entry[0] > now]
        for _, to_server, datagram in arrived:
            if to_server:
                note(server.receive(datagram, ADDRESS, now)[0], True)
            else:
                note(client.receive(datagram, now), False)
        note(client.timeout(now), False)
        if server.timeout(now):
            outcome.failed = True
    outcome.ms = now
    return outcome
