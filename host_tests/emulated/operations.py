# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The operations that host_tests/emulated/counts.py counts, on each target, beside the portable tests.

After some repetitions of each it prints "@" with its name, its bytes, the number of repetitions and their microseconds, if it reads
a clock. Otherwise it prints "@begin" before and "@end" after them. The first operation is to do nothing, and is part of the others.
No garbage is collected meanwhile. Nothing is random.
"""

import gc
import time

from cryptolib import aes
from dtls_pair import IDENTITY, KEY, settle
from support import A, make_member, seal, sealed

from dice import record
from dice.codes import AES_CTR, CONTENT_APPLICATION_DATA
from dice.crypto.hmac import Hmac
from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.record_layer import RecordLayer
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.suites import PSK_AES_128_CCM_8, SUITES

CIPHER = SUITES[PSK_AES_128_CCM_8].cipher
SALT = bytes(4)


def nothing(_):
    """Do nothing."""


def sealing(size, cipher=CIPHER):
    """Return an operation that seals a record."""
    payload = bytes(size)
    return lambda i: record.seal(cipher, KEY, SALT, CONTENT_APPLICATION_DATA, 1, 1, payload)


def opening(size, cipher=CIPHER):
    """Return an operation that opens a record."""
    datagram = sealing(size)(0)
    return lambda i: record.open(cipher, KEY, SALT, datagram)


def by_ctr():
    """Return the cipher of a record by the CTR mode of cryptolib; raises ValueError if the firmware lacks it."""
    aes(KEY, AES_CTR, bytes(16))
    from dice.crypto import ccm_ctr

    return (ccm_ctr.crypt,) + CIPHER[1:]


def sealing_by_ctr(size):
    """Return an operation that seals a record so."""
    return sealing(size, by_ctr())


def opening_by_ctr(size):
    """Return an operation that opens a record so."""
    return opening(size, by_ctr())


def sending(size):
    """Return an operation that sends a message to a group."""
    member, payload = make_member(A), bytes(size)
    return lambda i: seal(member, payload)


def receiving(size):
    """Return an operation that receives the next message from a group."""
    member, payload = make_member(), bytes(size)
    datagrams = [sealed(i, payload) for i in range(16)]

    def operation(i):
        if not member.receive(datagrams[i], 0):
            raise ValueError(member.dropped)

    return operation


def hashing(size):
    """Return an operation: HMAC-SHA256."""
    hmac, message = Hmac(KEY), bytes(size)
    return lambda i: hmac.digest(message)


def numbers(count):
    """Stand in for a source of random numbers."""
    return bytes(range(count))


def shaking(_):
    """Return an operation: a handshake with a pre-shared key, both ends."""

    def operation(i):
        ours = Session(Client(Psk(IDENTITY, KEY), numbers), RecordLayer(), 0)
        theirs = Session(Server(PskLookup({IDENTITY: KEY}.get), numbers), RecordLayer(), 0)
        settle(ours, theirs)
        if not (ours.connected and theirs.connected):
            raise ValueError("no session")

    return operation


OPERATIONS = (
    ("nothing", 0, lambda size: nothing, 8),
    ("seal a record", 16, sealing, 8),
    ("seal a record", 64, sealing, 8),
    ("seal a record", 1024, sealing, 4),
    ("open a record", 64, opening, 8),
    ("open a record", 1024, opening, 4),
    ("send to a group", 64, sending, 8),
    ("receive from a group", 64, receiving, 8),
    ("seal a record, CTR", 64, sealing_by_ctr, 8),
    ("seal a record, CTR", 1024, sealing_by_ctr, 4),
    ("open a record, CTR", 64, opening_by_ctr, 8),
    ("open a record, CTR", 1024, opening_by_ctr, 4),
    ("HMAC-SHA256", 64, hashing, 8),
    ("PSK handshake, both ends", 0, shaking, 1),
)


def timed(operation, repetitions):
    """Return the microseconds of some repetitions."""
    start = time.ticks_us()
    for i in range(1, 1 + repetitions):
        operation(i)
    return time.ticks_diff(time.ticks_us(), start)


def marked(operation, repetitions):
    """Print lines before and after some repetitions. No clock is read: that takes more or fewer instructions, by what it says."""
    print("@begin")
    for i in range(1, 1 + repetitions):
        operation(i)
    print("@end")
    return 0


def main(run):
    """Run all with `timed` or `marked`."""
    for name, size, make, repetitions in OPERATIONS:
        try:
            operation = make(size)
        except ValueError:
            continue  # the firmware lacks it
        operation(0)  # which imports and creates what is created once
        gc.collect()
        gc.disable()
        us = run(operation, repetitions)
        print("@%s/%d/%d/%d" % (name, size, repetitions, us))
        gc.enable()
