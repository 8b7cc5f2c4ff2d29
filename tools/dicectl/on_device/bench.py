# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The workload of `dicectl bench`: the same file under CPython and MicroPython, with dice on its path.

Prints JSON lines: first {"interpreter", "dice", "backend"}, then {"round", "rounds"} at the end of each round, then of each
measurement {"name", "size", "us": microseconds for one operation in its best round, "repetitions": operations a round, "rounds"}.
The best round is the one that was disturbed least; each goes through all measurements, so that a disturbance does not hit all
rounds of one of them. Garbage is collected between the timings. An argument `quick` makes few and short rounds, for tests;
a board makes two of two, since its own clock measures and nothing disturbs it, and without `quick` 32 records in a row besides, of
which each finds the garbage of those before.
"""

import gc
import json
import sys
import time

import dice
import dice.crypto
from dice.codes import CONTENT_APPLICATION_DATA
from dice.crypto.hmac import Hmac
from dice.dtls import record_layer as record
from dice.group.context import sender_key
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.member import Member
from dice.suites import PSK_AES_128_CCM_8, SUITES

MICROPYTHON = sys.implementation.name == "micropython"
SIZES = (16, 64, 256, 1024)
GROUP_BYTES = 64
EPOCH = 1
KEY = bytes(range(16))
SALT = bytes(4)
GID = b"\x00\x00\x00\x01"
SENDER = 7
CIPHER = SUITES[PSK_AES_128_CCM_8].cipher

if MICROPYTHON:
    now_us = time.ticks_us
    elapsed_us = time.ticks_diff
else:

    def now_us():
        """Return microseconds, as a float."""
        return time.perf_counter_ns() / 1000

    def elapsed_us(end, start):
        """Return `end - start`."""
        return end - start


class RamStore:
    """A store in RAM: writes to flash would take longer than dice."""

    def __init__(self):
        self._counters = {}

    def get(self, name):
        """Return the counter, or None."""
        return self._counters.get(name)

    def put(self, name, value):
        """Store the counter."""
        self._counters[name] = value


def sealing(size):
    """Return an operation that seals `size` bytes. It reuses one sequence number, because nothing is sent."""
    payload = bytes(size)
    return lambda i: record.seal(CIPHER, KEY, SALT, CONTENT_APPLICATION_DATA, EPOCH, 1, payload)


def opening(size):
    """Return an operation that opens a record of `size` bytes."""
    datagram = sealing(size)(0)
    if record.open(CIPHER, KEY, SALT, datagram) is None:
        raise ValueError(size)
    return lambda i: record.open(CIPHER, KEY, SALT, datagram)


def yardstick(size):
    """Return an operation: one call of the AES-CCM of CPython's `cryptography` package, without DTLS."""
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

    cipher = AESCCM(KEY, tag_length=8)
    payload = bytes(size)
    return lambda i: cipher.encrypt(bytes(12), payload, bytes(13))


def receiving(repetitions):
    """Return an operation: a listener receives the next of `repetitions` records, which were sealed before."""
    address = b"\xef\x00\x00\x01"
    senders = [(SENDER, 0)]
    gsa = Gsa(
        gid=GID,
        address=address,
        port=5684,
        suite=PSK_AES_128_CCM_8,
        layout=K08,
        derive=DERIVE_SENDER,
        epoch=EPOCH,
        key=bytearray(KEY),
        own_id=None,
        own_next=0,
        lifetime_s=0,
        budget=1 << 20,
        senders=senders,
        fresh=True,
    )
    secret = sender_key(KEY, GID, EPOCH, SENDER)
    payload = bytes(GROUP_BYTES)
    datagrams = []
    for sequence in range(repetitions):
        number = SENDER << 40 | sequence
        datagrams.append(record.seal(CIPHER, secret[:16], secret[16:], CONTENT_APPLICATION_DATA, EPOCH, number, payload))
    member = Member(gsa, RamStore(), 0)

    def operation(i):
        if not member.receive(datagrams[i], 0):
            raise ValueError(member.dropped)

    return operation


def measurements():
    """Return (name, size in bytes, function(repetitions) that returns the operation) of each measurement."""
    rows = []
    for size in SIZES:
        rows.append(("seal", size, lambda repetitions, size=size: sealing(size)))
        rows.append(("open", size, lambda repetitions, size=size: opening(size)))
    rows.append(("group open", GROUP_BYTES, receiving))
    hmac = Hmac(KEY)
    message = bytes(64)
    rows.append(("HMAC-SHA256", 64, lambda repetitions: lambda i: hmac.digest(message)))
    rows.append(("P_SHA256", 20, lambda repetitions: lambda i: sender_key(KEY, GID, EPOCH, SENDER)))
    if not MICROPYTHON:
        for size in SIZES:
            rows.append(("yardstick: AESCCM", size, lambda repetitions, size=size: yardstick(size)))
    return rows


def time_us(make, repetitions):
    """Return the microseconds of `repetitions` operations, without their preparation."""
    operation = make(repetitions)
    gc.collect()
    start = now_us()
    for i in range(repetitions):
        operation(i)
    return elapsed_us(now_us(), start)


def main(quick):
    """Measure and print the lines."""
    board = sys.platform == "rp2"
    repetitions, rounds = (2, 2) if board else (5, 2) if quick else (50, 60)
    interpreter = sys.implementation.name + " " + "%d.%d.%d" % tuple(sys.implementation.version[:3])
    report({"interpreter": interpreter, "dice": dice.__version__, "backend": dice.crypto.name()})
    rows = [row + (repetitions,) for row in measurements()]
    if board and not quick:
        for name, size, make in measurements():
            if size == GROUP_BYTES and name in ("seal", "open", "group open"):
                rows.append((name + ", 32 in a row", size, make, 32))
    best = [1 << 60] * len(rows)
    for i in range(rounds):
        best = [min(us, time_us(row[2], row[3])) for us, row in zip(best, rows)]
        report({"round": i + 1, "rounds": rounds})
    for us, (name, size, _, repetitions) in zip(best, rows):
        us = round(max(us, 1) / repetitions, 3)  # the clock may be too coarse
        report({"name": name, "size": size, "us": us, "repetitions": repetitions, "rounds": rounds})


def report(line):
    """Print a JSON line and flush it, because the host shows progress."""
    print(json.dumps(line))
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


main("quick" in sys.argv[1:])
