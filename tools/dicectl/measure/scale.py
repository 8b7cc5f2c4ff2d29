# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The costs of a server with many sessions and of a manager with many devices, for `dicectl bench --scale`.

The sessions are in memory, without sockets: CPU time of the server's side, in this process. The devices are real: see many_devices.
"""

import random
import time

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.dtls.session_index import IndexedListener
from dice.errors import CONNECTED, DATA
from dicectl.measure import many_devices
from dicectl.measure.large_group import size

SESSIONS = (1, 100, 1000, 5000, 10_000)
DEVICES = (200, 1000, 5000, 10_000)
SESSION_TITLES = ("sessions", "a record", "times that of one session", "a handshake", "memory of a session")
DEVICE_TITLES = (
    "devices",
    "phase",
    "pace",
    "time",
    "CPU of the manager",
    "CPU for each device",
    "memory of the manager",
    "lost by its socket",
)
SESSIONS_TEXT = "A server's CPU time for one record of 64 bytes that it receives, and for one handshake"
DEVICES_TEXT = (
    "`dicectl manager run` with its registry on the disk, UDP on loopback, all devices in another process; 125 start in a second"
)
_KEY = bytes(16)
_SAMPLE = 50
_ROUNDS = 200
_COUNTED_MAX = 1000  # sessions whose memory is counted: it takes 6 ms each


class _Server:
    """A server whose time is measured, and its clients."""

    def __init__(self, count):
        self.chance = random.Random(count)
        self.spent_s = 0.0
        self.listener = IndexedListener(
            PskLookup({b"%d" % number: _KEY for number in range(count + _SAMPLE)}.get),
            self.chance.randbytes,
            0,
            lambda address: address,
            sessions_max=count + _SAMPLE,
            cid_bytes=4,
            half_open_max=64,
        )

    def give(self, datagram, number):
        """Let the server receive what a client sends, and return (event, what it sends)."""
        start_s = time.process_time()
        event, _ = self.listener.receive(datagram, b"address %d" % number, 0)
        out = []
        sent = self.listener.transmit()
        while sent:
            out.append(bytes(sent[0]))
            sent = self.listener.transmit()
        self.listener.deadline()
        self.spent_s += time.process_time() - start_s
        return event, out

    def connect(self, number):
        """Return a connected session of a client."""
        client = Session(Client(Psk(b"%d" % number, _KEY), self.chance.randbytes, b""), RecordLayer(), 0)
        event = None
        while event != CONNECTED or not client.connected:
            datagram = client.transmit()
            assert datagram, "the handshake does not end"
            event, out = self.give(datagram, number)
            for datagram in out:
                client.receive(datagram, 0)
        return client


def _best(function, items):
    """Return the shortest time of a round over all items, for each item, in us."""
    return min(function(items) for _ in range(_ROUNDS)) * 1e6 / len(items)


def sessions(count):
    """Return {"sessions", "record_us", "handshake_us", "session_bytes"} of a server with so many sessions."""
    server = _Server(count)
    clients = [server.connect(number) for number in range(count)]
    sample = list(enumerate(clients))[:: max(1, count // _SAMPLE)]
    del clients

    def records(items):
        server.spent_s = 0.0
        for number, client in items:
            client.send(bytes(64), 0)
            event, _ = server.give(client.transmit(), number)
            assert event == DATA
        return server.spent_s

    record_us = _best(records, sample * (_SAMPLE // len(sample)))
    server.spent_s = 0.0
    for number in range(_SAMPLE):
        server.connect(count + number)
    handshake_us = server.spent_s * 1e6 / _SAMPLE
    return {
        "sessions": count,
        "record_us": round(record_us, 1),
        "handshake_us": round(handshake_us),
        "session_bytes": size(server.listener) // (count + _SAMPLE) if count <= _COUNTED_MAX else None,
    }


def collect(quick, tell):
    """Return {"scale_sessions": [...], "scale_devices": [...]}; `tell(text)` is called before each part."""
    counts, devices = (SESSIONS[:2], (10,)) if quick else (SESSIONS, DEVICES)
    found = {"scale_sessions": [], "scale_devices": []}
    for count in counts:
        tell(f"{count} sessions")
        found["scale_sessions"].append(sessions(count))
    for count in devices:
        tell(f"{count} devices")
        found["scale_devices"] += many_devices.measure(count)
    return found


def session_rows(lines):
    """Return the rows of a table of sessions()."""
    one = lines[0]["record_us"]
    return [
        [
            f"{line['sessions']:,}",
            f"{line['record_us']:.1f} us",
            f"{line['record_us'] / one:.2f}",
            f"{line['handshake_us'] / 1000:.2f} ms",
            f"{line['session_bytes'] / 1024:.1f} KB" if line["session_bytes"] else "",
        ]
        for line in lines
    ]


def device_rows(lines):
    """Return the rows of a table of many_devices.measure()."""
    return [
        [
            f"{line['devices']:,}",
            line["phase"],
            f"{line['pace_ms']} ms",
            f"{line['s']:.1f} s",
            f"{line['cpu_s']:.1f} s",
            f"{1000 * line['cpu_s'] / line['devices']:.1f} ms",
            f"{line['ram_mb']} MB",
            str(line["dropped"]),
        ]
        for line in lines
    ]
