# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the heap of a group member; `dicectl footprint` and host_tests/unix_port/test_memory.py run it on MicroPython.

micropython heap_of_a_member.py idle sender|shared own|listener    what a member takes of it
micropython heap_of_a_member.py steady RECORDS                     how much is in use before and after that many records
micropython heap_of_a_member.py brief                              what one takes, after fewer records than `idle`: for an emulator
micropython heap_of_a_member.py pass                               nothing: joins, receives of each sender, and sends

Prints one JSON object.
"""

import gc
import json
import sys

GID = b"\x0a\x0b\x0c\x0d"
ADDRESS = b"\xef\x01\x02\x03"
SENDERS = 8
OWN = 3
EPOCH = 1
DERIVATIONS = {"sender": (1, 16), "shared": (2, 20)}  # its number in the GSA, and the length of the GSA's key
SIZES = (0, 1, 16, 64, 500)
_SCRUB = 40 if sys.platform in ("linux", "darwin") else 16  # nested calls; the stack of a board is short


class RamStore:
    """Counters in RAM. A board has them in flash, so all of them are created before the measurement."""

    def __init__(self):
        self.counters = {}

    def get(self, name):
        """Return the counter or None."""
        return self.counters.get(name)

    def put(self, name, value):
        """Store the counter."""
        self.counters[name] = value


# The records of the group.


def gsa(derive, own_id):
    """Return a Gsa with 8 senders that have not sent yet."""
    from dice.group.gsa import K08, Gsa
    from dice.suites import PSK_AES_128_CCM_8

    number, key_bytes = DERIVATIONS[derive]
    fields = {"gid": GID, "address": ADDRESS, "port": 5684, "suite": PSK_AES_128_CCM_8, "layout": K08, "derive": number}
    fields.update({"epoch": EPOCH, "key": bytearray(range(key_bytes)), "own_id": own_id, "budget": 100_000, "fresh": True})
    first = 0 if own_id is None else EPOCH << 48
    return Gsa(own_next=first, lifetime_s=3600, senders=[(i, EPOCH << 48) for i in range(SENDERS)], **fields)


def keys_of(derive):
    """Return key | salt of each sender."""
    from dice.group.context import sender_key

    key = bytes(range(DERIVATIONS[derive][1]))
    return [sender_key(key, GID, EPOCH, i) if derive == "sender" else key for i in range(SENDERS)]


def sealed(keys, sender_id, sequence, payload):
    """Return a record of a sender."""
    from dice import record
    from dice.codes import CONTENT_APPLICATION_DATA
    from dice.suites import PSK_AES_128_CCM_8, SUITES

    key = keys[sender_id]
    return record.seal(
        SUITES[PSK_AES_128_CCM_8].cipher, key[:16], key[16:], CONTENT_APPLICATION_DATA, EPOCH, sender_id << 40 | sequence, payload
    )


# The measurements.


def join(derive, own_id, store):
    """Return a Member, without a reference to the Gsa."""
    from dice.group.member import Member

    return Member(gsa(derive, own_id), store, 0)


def hear(member, keys, first, last, own_id=None):
    """Let the member receive records `first` to `last` - 1 of each sender; every fifth is replayed, and every fifth is forged."""
    for sequence in range(first, last):
        for sender_id in range(SENDERS):
            if sender_id == own_id:
                continue
            datagram = sealed(keys, sender_id, sequence, bytes(SIZES[(sequence + sender_id) % len(SIZES)]))
            if sequence % 5 == 1:
                datagram[-1] ^= 1
            member.receive(datagram, 0)
            if sequence % 5 == 2:
                member.receive(datagram, 0)
    member.receive(b"", 0)  # drops the reference to the last message


def scrub(depth):
    """Overwrite stale values on the C stack, which the collector would treat as pointers."""
    values = [0] * 8
    if depth:
        scrub(depth - 1)
    return values


def allocated():
    """Return the bytes of heap in use."""
    for _ in range(3):
        scrub(_SCRUB)
        gc.collect()
    return gc.mem_alloc()


def rehearse(derive, own_id, store, keys):
    """Import all modules, and create every counter in the store."""
    hear(join(derive, own_id, store), keys, 0, 5, own_id)


def idle(store, derive, own_id, last=105):
    """Return the heap of a member after joining, and after receiving records 5 to `last` - 1 of each sender."""
    keys = keys_of(derive)
    rehearse(derive, own_id, store, keys)
    before = allocated()
    member = join(derive, own_id, store)
    joined = allocated()
    hear(member, keys, 5, last, own_id)
    heard = allocated()
    return {"idle": joined - before, "heard": heard - before, "accepted": member.accepted}


def steady(store, records):
    """Return the heap in use before and after `rounds` of records, and the member's counters."""
    keys = keys_of("sender")
    member = join("sender", None, store)
    hear(member, keys, 0, 100)
    before = allocated()
    hear(member, keys, 100, 100 + records // SENDERS)
    after = allocated()
    return {"before": before, "after": after, "accepted": member.accepted, "dropped": member.dropped}


def opening(store):
    """Return the heap, with garbage, that opening a record of 64 bytes uses until the next collection."""
    keys = keys_of("sender")
    member = join("sender", None, store)
    hear(member, keys, 10, 11)
    datagram = sealed(keys, 0, 12, bytes(64))
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    member.receive(datagram, 0)
    taken = gc.mem_alloc() - before
    gc.enable()
    return {"opening": taken, "opened": len(member.data)}


def work(store):
    """Join as a sender, receive two records of each of the others, and send one."""
    member = join("sender", OWN, store)
    keys = keys_of("sender")
    hear(member, keys, 0, 2, OWN)
    member.send(bytes(64), 0)
    return {"accepted": member.accepted, "sent": len(member.transmit())}


def main(mode, *arguments):
    """Measure and print the results."""
    if mode == "idle":
        derive, role = arguments
        result = idle(RamStore(), derive, OWN if role == "own" else None)
    elif mode == "brief":
        store = RamStore()
        result = idle(store, "sender", OWN, 9)
        result.update(opening(store))
    elif mode == "pass":
        result = work(RamStore())
    else:
        result = steady(RamStore(), int(arguments[0]))
    print(json.dumps(result))


if __name__ in ("__main__", sys.argv[0]):  # not if footprint_stages imports it
    main(*sys.argv[1:])
