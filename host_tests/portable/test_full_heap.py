# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Sessions end although the heap of a board is full: keys are overwritten, and nothing is sealed. On a computer it is not full.

host_tests/properties/test_ends.py interrupts ends and handshakes at each line.
"""

from dtls_pair import connected, drain, pair
from support import raises

from dice._compat import MICROPYTHON
from dice.errors import CLOSED, UsageError
from dice.reasons import E_NOT_CONNECTED


def fill():
    """Take all memory; return what holds it."""
    hoard = [None] * 64
    at, size = 0, 1 << 16
    while MICROPYTHON and size >= 16:
        try:
            hoard[at] = (bytearray(size), hoard[at])
        except MemoryError:
            size >>= 1
    return hoard


def test_a_session_ends_on_a_full_heap():
    for way in range(3):
        ours, theirs = connected()
        end = (ours.close, ours.abandon, theirs.close)[way]
        session = theirs if way == 2 else ours
        keys, master = session.layer.keys, session.secrets.master
        hoard = fill()
        end()
        ended = session.connected, any(keys), any(master)
        hoard = None
        assert ended == (False, False, False) and not hoard
        raises(UsageError, E_NOT_CONNECTED, session.send, b"x", 0)
        assert session.timeout(0) == CLOSED and session.deadline() is None and len(drain(session)) <= 1


def test_a_handshake_ends_on_a_full_heap():
    ours, theirs = pair()
    theirs.receive(drain(ours)[0], 0)
    for datagram in drain(theirs):
        ours.receive(datagram, 0)
    keys, master = ours.layer.keys, ours._handshake.secrets.master
    assert any(keys) and any(master)
    hoard = fill()
    ours.close()
    ended = ours.connected, any(keys), any(master)
    hoard = None
    assert ended == (False, False, False) and not hoard
