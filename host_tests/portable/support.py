# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Helpers of the portable tests. They run on CPython and MicroPython, so they need neither pytest nor data files."""

import os

from dice._compat import ticks_add
from dice.errors import StoreError
from dice.group.context import Context
from dice.group.gsa import DERIVE_SENDER, K08, Gsa
from dice.group.member import Member
from dice.reasons import E_STORE_READ, E_STORE_WRITE
from dice.suites import PSK_AES_128_CCM_8

SECOND = 1000  # in ticks
A, B, C = 1, 2, 3  # SenderIDs
_STEP_MS = 1 << 28


class RamStore:
    """A store in memory. It outlives its member as flash does, and fails while `broken` or `unreadable` is set."""

    def __init__(self):
        self.values = {}
        self.writes = 0
        self.broken = False
        self.unreadable = False

    def get(self, name):
        """Return the counter, or None if there is none."""
        if self.unreadable:
            raise StoreError(E_STORE_READ)
        return self.values.get(name)

    def put(self, name, value):
        """Store the counter."""
        if self.broken:
            raise StoreError(E_STORE_WRITE)
        self.writes += 1
        self.values[name] = value


def make_gsa(**changes):
    """Return a Gsa: epoch 1, layout k08, a key for each sender; senders A, B and C have sent nothing yet."""
    fields = {
        "gid": b"\x01\x02\x03\x04",
        "address": bytes((239, 1, 2, 3)),
        "port": 5684,
        "suite": PSK_AES_128_CCM_8,
        "layout": K08,
        "derive": DERIVE_SENDER,
        "epoch": 1,
        "key": None,
        "own_id": None,
        "own_next": 0,
        "lifetime_s": 0,
        "budget": 1000,
        "senders": [(A, 0), (B, 0), (C, 0)],
        "fresh": True,
    }
    fields.update(changes)
    if fields["key"] is None:
        fields["key"] = bytearray(range(16 if fields["derive"] == DERIVE_SENDER else 20))
    return Gsa(**fields)


def make_member(own_id=None, store=None, now=0, options=None, **changes):
    """Return a Member, by default with a store of its own; `options` are Member's, `changes` are Gsa's."""
    return Member(make_gsa(own_id=own_id, **changes), RamStore() if store is None else store, now, **(options or {}))


def sealed(sequence, data=b"message", own_id=A, **changes):
    """Return an authentic record of `own_id` with any sequence number, even one that a correct sender would not use."""
    context = Context(make_gsa(own_id=own_id, **changes))
    return context.seal(sequence, data)


def keys_of(context):
    """Return the keys of an epoch in memory: a memoryview with 28 bytes for each sender, key | salt | replay window."""
    return context.state


def seal(member, data=b"message", now=0):
    """Send `data`; return the datagram."""
    member.send(data, now)
    return member.transmit()


def forge(datagram, at=-1):
    """Return a copy of a datagram with one bit flipped."""
    copy = bytearray(datagram)
    copy[at] ^= 1
    return copy


def raises(error_class, reason, function, *arguments):
    """Assert that the call raises exactly this class with this reason. A reason of None accepts any, or none."""
    try:
        function(*arguments)
    except error_class as error:
        assert type(error) is error_class, repr(error)
        assert reason is None or error.reason == reason, str(error)
        return
    raise AssertionError("did not raise %s E%s" % (error_class.__name__, reason))


def later(now, ms):
    """Return the ticks `ms` after `now`, however long that is: where words have 32 bits, ticks_add() takes less than 6.2 days."""
    while ms > _STEP_MS:
        now = ticks_add(now, _STEP_MS)
        ms -= _STEP_MS
    return ticks_add(now, ms)


def setting(name, default):
    """Return an environment variable or `default`; a board has no environment variables."""
    getenv = getattr(os, "getenv", None)
    return (getenv(name) if getenv else None) or default


def vectors(name):
    """Yield the cases of a file made by host_tests/vectors.py, each a list of byte strings and verdicts."""
    with open(setting("DICE_VECTORS", "vectors") + "/" + name) as file:
        for line in file:
            if not line.startswith("#"):
                yield [_field(text) for text in line.split()]


def _field(text):
    if text in ("valid", "invalid"):
        return text
    return b"" if text == "-" else bytes.fromhex(text)


def exists(path):
    """Return whether a file or folder exists at `path`."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def scratch():
    """Return the path of the folder that has those of make_folder(), and no files."""
    base = setting("DICE_SCRATCH", "scratch")
    if not exists(base):
        os.mkdir(base)
    return base


def make_folder():
    """Create a new, empty folder; return its path."""
    base = scratch()
    number = 0
    while exists("%s/%d" % (base, number)):
        number += 1
    path = "%s/%d" % (base, number)
    os.mkdir(path)
    return path
