# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Member.receive by the native module `_dice` does what that in Python does, on whatever is received: the same events, counts,
counters and windows. Runs on MicroPython.
"""

import sys

import _dice
from native_cases import refused
from support import A, B, C, RamStore, forge, make_gsa, sealed

import dice.group.member as with_native
from dice.crypto import crypt
from dice.errors import CLASH, DATA, EXPIRED, NONE
from dice.group.context import Context
from dice.group.gsa import D00, DERIVE_SHARED, K08, UNKNOWN
from dice.limits import DATAGRAM_MAX_BYTES, RECORD_MIN_BYTES
from dice.record import seal
from dice.suites import PSK_AES_128_CCM

STEPS = 120
NEXT = {"epoch": 2, "key": bytearray(range(50, 66))}


def in_python():
    """Return the class Member of a board without `_dice`."""
    hidden = sys.modules["dice.group.native"], sys.modules["dice.group.member"]
    sys.modules["dice.group.native"] = object()
    del sys.modules["dice.group.member"]
    try:
        import dice.group.member as member

        return member.Member
    finally:
        sys.modules["dice.group.native"], sys.modules["dice.group.member"] = hidden
        sys.modules["dice.group"].member = hidden[1]


class Draw:
    """Random numbers that are the same on every board (Numerical Recipes)."""

    def __init__(self, seed):
        self.state = seed
        self.numbers = {}  # of the next record, by epoch and sender

    def below(self, count):
        """Return a number."""
        self.state = (self.state * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self.state >> 16) % count


def seen(member, store):
    """Return all that can be seen of a member."""
    contexts = []
    for context in (member.held(0), member.held(2)):
        if context:
            contexts.append((context.epoch, bytes(context.state), context.clash, context.own_next))
            for sender_id, sender in sorted(context.senders.items()):
                contexts.append((sender_id, sender.next, getattr(sender, "mark", None), sender.forged))
    last = member.data, member.sender, member.epoch, member.sequence
    return last, member.accepted, member.dropped, member.deadline(), contexts, store.values, store.writes


def datagram(draw, changes):
    """Return something that may be received: mostly authentic records that are not far from the next ones."""
    epoch = draw.below(8) == 0
    sender = (A, A, B, B, C)[draw.below(5)]
    number = draw.numbers.get((epoch, sender), 0)
    draw.numbers[epoch, sender] = number + 1
    if draw.below(4) == 0:
        number = max(0, number + draw.below(7) - 3)
    if draw.below(30) == 0:
        number += (1 << 24, (1 << 29) - 1, 1 << 29, 1 << 30, 1 << 31, (1 << 32) - 1)[draw.below(6)]
    other = dict(changes, **NEXT) if epoch else dict(changes)
    other.pop("senders", None)  # also of a device that is none
    if changes["derive"] == DERIVE_SHARED and epoch:
        other["key"] = bytearray(range(50, 70))
    data = sealed(number, bytes(draw.below(70)), own_id=sender, **other)
    kind = draw.below(12)
    if kind == 0:
        return forge(data, draw.below(len(data)))
    if kind == 1:
        return data[: draw.below(len(data))]
    if kind == 2:
        return data + bytes(draw.below(3))
    if kind == 3:
        return bytes(data)
    if kind == 4:
        return memoryview(data)
    return data


def compare(seed, own_id, **changes):
    """Assert that a member of each class does the same; return the counts of events."""
    draw = Draw(seed)
    classes = in_python(), with_native.Member
    assert classes[0].receive is not classes[1].receive
    changes.setdefault("derive", 1)
    options = {"remember_records": 1 + 3 * draw.below(2), "grace_ms": 200}
    members = []
    for made in classes:
        store = RamStore()
        members.append((made(make_gsa(own_id=own_id, **changes), store, 0, **options), store))
    events = {}
    for now in range(STEPS):
        step = draw.below(60)
        broken = step < 4
        if step == 5 and now > STEPS // 3:
            other = dict(changes, **NEXT)
            if changes["derive"] == DERIVE_SHARED:
                other["key"] = bytearray(range(50, 70))
            for member, _ in members:
                if member.held(2) is None and member.held(0):
                    member.install(make_gsa(own_id=own_id, **other), now)
        data = datagram(draw, changes)
        results = []
        for member, store in members:
            store.broken = broken
            results.append(member.receive(data, now * 20))
        assert results[0] == results[1], (seed, now, results)
        assert seen(*members[0]) == seen(*members[1]), (seed, now, seen(*members[0]), seen(*members[1]))
        events[results[0]] = events.get(results[0], 0) + 1
    for kind in members[0][0].dropped:
        events[kind] = members[0][0].dropped[kind]
    return events


def test_the_members_do_the_same():
    total = {}
    for seed in range(4):
        for own_id in (None, A):
            for changes in ({"layout": K08}, {"layout": D00}, {"suite": PSK_AES_128_CCM, "senders": [(A, UNKNOWN), (B, 0)]}):
                events = compare(seed, own_id, **changes)
                for event in events:
                    total[event] = total.get(event, 0) + events[event]
    for changes in ({"derive": DERIVE_SHARED, "key": bytearray(range(20))}, {"lifetime_s": 1}):
        events = compare(9, B, **changes)
        for event in events:
            total[event] = total.get(event, 0) + events[event]
    for event in (NONE, DATA, CLASH, EXPIRED, "malformed", "epoch", "unknown", "replayed", "forged", "own", "first", "unsaved"):
        assert total.get(event), (event, total)


def counting(calls):
    """Return a class Member that notes in `calls` what the method in Python gets."""
    plain = in_python()

    def noting(self, data, now):
        calls.append(data)
        return plain.receive(self, data, now)

    class Counting(with_native.Member):
        _receive = noting

    return Counting


def test_what_comes_in_order_needs_no_python():
    for changes in ({}, {"layout": D00}, {"suite": PSK_AES_128_CCM}, {"derive": DERIVE_SHARED, "key": bytearray(range(20))}):
        calls = []
        member = counting(calls)(make_gsa(**changes), RamStore(), 0)
        for number in range(70):
            assert member.receive(sealed(number, b"on", **changes), 0) == DATA and member.data == b"on" and member.sender == A
        assert member.receive(forge(sealed(70, **changes)), 0) == NONE and member.dropped == {"forged": 1}
        assert member.data is None and member.sender is None
        assert not calls
        assert member.receive(sealed(72, **changes), 0) == DATA and len(calls) == 1


def test_a_place_of_the_window_that_was_skipped_is_used_again():
    calls = []
    member = counting(calls)(make_gsa(), RamStore(), 0)
    numbers = [number for number in range(80) if number != 10]  # 74 has the place of 10
    for number in numbers:
        assert member.receive(sealed(number), 0) == DATA
    assert len(calls) == 1  # of 11
    for number in numbers[-63:]:
        assert member.receive(sealed(number), 0) == NONE, number
    assert member.dropped == {"replayed": 63}


def test_only_application_data_of_dtls_1_2_and_with_a_number_of_all_its_bytes():
    """All records are authentic. On a board an integer in C has 32 bits."""
    member = with_native.Member(make_gsa(), RamStore(), 0)
    context = member.held(0)
    keys = context.secret(A)
    for content_type in (0, 20, 21, 22, 25, 255):
        data = seal(context.cipher, keys[:16], keys[16:], content_type, 1, A << 40, b"on")
        assert member.receive(data, 0) == NONE and _dice.open_next(crypt, context, data) is None
    assert member.dropped == {"malformed": 6}
    for number in (1 << 30, 1 << 31, 1 << 32, 1 << 39, 1 << 24 | 1 << 32):
        assert _dice.open_next(crypt, context, sealed(number)) is None
    for epoch in (0, 2, 0x101, 0xFFFF):
        assert _dice.open_next(crypt, context, sealed(0, epoch=epoch)) is None
    data = seal(context.cipher, keys[:16], keys[16:], 23, 1, A << 40, b"on")
    for at in (1, 2, 11, 12):
        assert member.receive(forge(data, at), 0) == NONE and _dice.open_next(crypt, context, forge(data, at)) is None
    assert member.dropped == {"malformed": 10}
    assert member.receive(data, 0) == DATA


def test_the_longest_and_the_shortest_record():
    """The limits are written down in C as well."""
    for length in (0, DATAGRAM_MAX_BYTES - 29):
        calls = []
        member = counting(calls)(make_gsa(), RamStore(), 0)
        assert member.receive(sealed(0, bytes(length)), 0) == DATA and not calls and len(member.data) == length
    too_long = sealed(1, bytes(DATAGRAM_MAX_BYTES - 28))
    assert len(too_long) > DATAGRAM_MAX_BYTES
    assert member.receive(too_long, 0) == NONE and member.dropped == {"malformed": 1} and len(calls) == 1
    context = member.held(0)
    for size in range(RECORD_MIN_BYTES + 8):
        short = sealed(1)[:size]
        if size > 12:
            short[11], short[12] = 0, size - 13
        assert _dice.open_next(crypt, context, short) is None


def test_what_is_no_context_is_refused():
    record, context = sealed(0), Context(make_gsa())
    assert _dice.open_next(crypt, context, record)[1:] == (A, b"message")
    for other in (None, 1, b"", object()):
        refused("AttributeError", _dice.open_next, crypt, other, record)
    for other in (None, 1, "17", [1]):
        refused("TypeError", _dice.open_next, crypt, context, other)
    for arguments in ((), (crypt, context), (crypt, context, record, 1)):
        refused("TypeError", _dice.open_next, *arguments)
    assert _dice.open_next(len, context, record) is None
    good = context.cipher
    for at in range(1, 6):
        for value in (0, 1, 7, 12, 255, 1 << 29, (1 << 30) - 1):
            if value != good[at]:
                context.cipher = good[:at] + (value,) + good[at + 1 :]
                found = _dice.open_next(crypt, context, record)
                assert found is None or found[2] is None, (at, value, found)
        for value in (None, b"1", -1, 1 << 80):
            context.cipher = good[:at] + (value,) + good[at + 1 :]
            refused("ValueError" if value == -1 else "TypeError", _dice.open_next, crypt, context, record)
    for cipher in ((), good[:5]):
        context.cipher = cipher
        refused("ValueError", _dice.open_next, crypt, context, record)
    context.cipher = good
    sender = context.senders[A]
    at = sender.at
    for value in (0, 19, len(context.state) + 1, 1 << 29, (1 << 30) - 1):
        sender.at = value
        assert _dice.open_next(crypt, context, record) is None
    for value in (None, b"1", 1 << 80):
        sender.at = value
        refused("TypeError", _dice.open_next, crypt, context, record)
    sender.at = at
    for state in (b"", bytearray(at - 1)):
        context.state = state
        assert _dice.open_next(crypt, context, record) is None
