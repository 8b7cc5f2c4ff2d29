# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the heap of a board, one stage after the other; `dicectl footprint --port` runs it on a connected board.

Arguments: how many messages come. Prints a JSON object for each stage, {"stage": its name, "used": bytes of heap, "free": bytes,
"unit": bytes in which mem_info() counts, "idf": heaps of ESP-IDF, on an ESP32}, and below it what micropython.mem_info() prints,
with the largest free block. The stages:

    start       this script is loaded; nothing of dice
    imported    the modules of a group member; "store": bytes of the counters, which are in the heap from here on
    joined      a member with 8 senders
    session     an established PSK session of a client besides, with its modules
    messages    so many messages of 64 bytes were received; "peak": the most heap that was in use meanwhile, "puts" into the store
    sent        as many were sent; "puts" likewise

A stage whose modules are not on the board is {"absent": its name, "why": the exception}.
"""

import gc
import json
import sys

import heap_of_a_member
import micropython

_BYTES = 64
_UNIT = 16 if sys.maxsize < 1 << 32 else 32  # bytes of a block of the heap, in which mem_info() counts


class CountingStore(heap_of_a_member.RamStore):
    """A store in RAM that counts its writes."""

    def __init__(self):
        super().__init__()
        self.puts = 0

    def put(self, name, value):
        """Store the counter."""
        super().put(name, value)
        self.puts += 1

    def size(self):
        """Return the bytes of heap that the counters take, which are in flash on a board."""
        text = json.dumps(self.counters)
        full = heap_of_a_member.allocated()
        self.counters.clear()
        size = full - heap_of_a_member.allocated()
        self.counters.update(json.loads(text))
        return size


def idf_heap():
    """Return [(total, free, largest free block, least free since start)] of each heap of ESP-IDF for data, or None without one."""
    try:
        from esp32 import HEAP_DATA, idf_heap_info
    except ImportError:
        return None
    return [tuple(region) for region in idf_heap_info(HEAP_DATA)]


def show(stage, **more):
    """Print the heap as it is at a stage."""
    used = heap_of_a_member.allocated()
    line = {"stage": stage, "used": used, "free": gc.mem_free(), "unit": _UNIT, "idf": idf_heap()}
    line.update(more)
    print(json.dumps(line))
    micropython.mem_info()


def receive(member, keys, first, count):
    """Let the member receive `count` messages; return the most heap in use after one of them, its garbage included.

    gc.mem_alloc() takes ten times as long as the message, so after the first ten only every tenth is measured.
    """
    most = 0
    for number in range(count):
        datagram = heap_of_a_member.sealed(keys, 0, first + number, bytes(_BYTES))
        gc.collect()
        gc.disable()
        if not member.receive(datagram, 0):
            raise ValueError(member.dropped)
        if number < 10 or number % 10 == 0:
            most = max(most, gc.mem_alloc())
        gc.enable()
    member.receive(b"", 0)
    return most


def handshake():
    """Return a connected session, or None if the board has no modules for it."""
    try:
        import session_cost
    except ImportError as error:
        print(json.dumps({"absent": "session", "why": str(error)}))
        return None
    return session_cost.handshake(False)[3]


def main(messages):
    """Go through the stages."""
    show("start")
    import dice.group.member
    import dice.store  # noqa: F401 - a member has it

    keys = heap_of_a_member.keys_of("sender")
    store = CountingStore()
    heap_of_a_member.rehearse("sender", heap_of_a_member.OWN, store, keys)
    show("imported", store=store.size())
    member = heap_of_a_member.join("sender", heap_of_a_member.OWN, store)
    show("joined")
    session = handshake()
    if session:
        show("session")
    store.puts = 0
    peak = receive(member, keys, 5, messages)
    show("messages", peak=peak, puts=store.puts)
    store.puts = 0
    for _ in range(messages):
        member.send(bytes(_BYTES), 0)
        member.transmit()
    show("sent", puts=store.puts)


main(int(sys.argv[1]))
