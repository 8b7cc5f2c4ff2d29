# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The replay window compared with a model that is a set, and at its bounds."""

from support import A, make_gsa, make_member

from dice import replay
from dice.group.context import Context
from dice.limits import WINDOW_BYTES, WINDOW_RECORDS


def Window(floor):
    """Return a window in the middle of a larger buffer; the bytes around it must not change."""
    return replay.Window(floor, bytearray(24), 8)


class SetModel:
    """A replay window that remembers every number seen."""

    def __init__(self, floor):
        self.floor = floor
        self.seen = set()
        self.top = floor - 1

    def is_fresh(self, sequence):
        return sequence >= self.floor and sequence not in self.seen and sequence > self.top - WINDOW_RECORDS

    def see(self, sequence):
        self.seen.add(sequence)
        self.top = max(self.top, sequence)


def numbers(count, seed):
    """Yield pseudo-random 16-bit numbers from a linear congruential generator; MicroPython's `random` differs from CPython's."""
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        yield seed >> 15


def walk(floor, seed):
    """Yield (sequence, whether it is fresh) of a random walk in which each fresh number is marked as seen."""
    model, top = SetModel(floor), floor
    for number in numbers(400, seed):
        kind = number & 15
        if kind < 10:
            sequence = max(0, top - (number >> 4) % (WINDOW_RECORDS + 8))
        elif kind < 15:
            sequence = top + (number >> 4) % 4
        else:
            sequence = top + (number >> 4) % (3 * WINDOW_RECORDS)
        fresh = model.is_fresh(sequence)
        yield sequence, fresh
        if fresh:
            model.see(sequence)
            top = max(top, sequence)


FLOORS = (0, 1, 5, WINDOW_RECORDS, 1000, (1 << 40) - 10000)


def test_the_window_agrees_with_the_model():
    for floor in FLOORS:
        for seed in (1, 2, 3):
            window, seen = Window(floor), 0
            for sequence, fresh in walk(floor, seed):
                assert window.is_fresh(sequence) == fresh, (floor, seed, sequence)
                assert window.is_fresh(sequence) == fresh
                if fresh:
                    seen += 1
                    window.see(sequence)
                    assert not window.is_fresh(sequence)
            assert 50 < seen < 350


def test_a_member_agrees_with_the_model():
    """A member has its own copy of the most frequent step of the window; both must agree."""
    for seed, floor in enumerate(FLOORS):
        senders = [(A, 1 << 48 | floor)]  # in epoch 1
        sender = Context(make_gsa(own_id=A, senders=senders))
        listener = make_member(senders=senders)
        accepted = 0
        for sequence, fresh in walk(floor, seed + 1):
            accepted += fresh
            listener.receive(sender.seal(sequence, b"on"), 0)
            assert listener.accepted == accepted, (floor, sequence)


def test_a_new_window_accepts_every_number():
    window = Window(0)
    assert window.is_fresh(0)
    assert window.is_fresh(1)
    assert window.is_fresh((1 << 40) - 1)


def test_numbers_below_the_floor_are_not_fresh():
    window = Window(100)
    for sequence in (0, 36, 37, 98, 99):
        assert not window.is_fresh(sequence)
    assert window.is_fresh(100)


def test_the_window_covers_exactly_64_numbers():
    window = Window(0)
    window.see(1000)
    assert window.is_fresh(1000 - 63)
    assert not window.is_fresh(1000 - 64)
    assert not window.is_fresh(1000)
    window.see(1000 - 63)
    assert not window.is_fresh(1000 - 63)
    window.see(1001)
    assert window.is_fresh(1001 - 63)
    assert not window.is_fresh(1001 - 64)


def test_a_step_of_the_window_width_keeps_the_window_correct():
    for step in (63, 64, 65, 1 << 39):
        window = Window(0)
        window.see(0)
        window.see(step)
        assert not window.is_fresh(0)
        assert not window.is_fresh(step)
        assert window.is_fresh(step - 1)
        assert window.is_fresh(step - 62)


def test_the_window_does_not_grow_beyond_its_bytes():
    window = Window(0)
    for sequence in range(0, 3000, 3):
        window.see(sequence)
    assert not any(window._bits[:8]) and not any(window._bits[16:])
    assert WINDOW_BYTES * 8 == WINDOW_RECORDS
