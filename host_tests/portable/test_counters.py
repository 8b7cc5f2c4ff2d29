# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The counters of a group in the store: ahead of the numbers in use, rarely written, never decreased."""

from support import RamStore, raises

from dice.errors import StoreError, UsageError
from dice.group.counters import Counters
from dice.reasons import E_OLD_EPOCH, E_STORE_READ, E_STORE_SHARED, E_STORE_WRITE

SENT, SEEN = "01020304t0007", "01020304r0007"
GID = b"\x01\x02\x03\x04"
BASE = 1 << 48  # epoch 1 | 0


def make():
    store = RamStore()
    return store, Counters(store, GID)


def test_reserve_writes_ahead_and_never_decreases():
    store, counters = make()
    mark = counters.resume(SENT, 1, 0)
    for end in (8, 9, 100):
        mark = counters.reserve(SENT, BASE, mark, end)
        assert mark == end
        assert store.values[SENT] == BASE + end
    assert store.writes == 4


def test_reserve_raises_if_the_store_fails():
    store, counters = make()
    store.broken = True
    raises(StoreError, E_STORE_WRITE, counters.reserve, SENT, BASE, 0, 8)
    store.unreadable = True
    raises(StoreError, E_STORE_READ, counters.reserve, SENT, BASE, 0, 8)


def test_reserve_detects_a_second_user_of_the_counter():
    _, counters = make()
    mark = counters.reserve(SENT, BASE, 0, 10)
    counters.reserve(SENT, BASE, mark, 11)
    raises(StoreError, E_STORE_SHARED, counters.reserve, SENT, BASE, mark, 12)


def test_reserve_recognises_a_write_that_succeeded_but_reported_failure():
    class FalseAlarmStore(RamStore):
        def put(self, name, value):
            super().put(name, value)
            if value == BASE + 8:
                raise StoreError(E_STORE_WRITE)

    store = FalseAlarmStore()
    counters = Counters(store, GID)
    raises(StoreError, E_STORE_WRITE, counters.reserve, SENT, BASE, 0, 8)
    raises(StoreError, E_STORE_WRITE, counters.reserve, SEEN, BASE, 0, 8)
    assert counters.reserve(SENT, BASE, 0, 9) == 9
    assert counters.reserve(SEEN, BASE, 0, 9) == 9
    store.values[SENT] = BASE + 8
    raises(StoreError, E_STORE_SHARED, counters.reserve, SENT, BASE, 9, 10)


def test_live_ignores_an_earlier_epoch():
    store, counters = make()
    counters.begin(2)
    counters.live(1, 5)
    assert store.values == {"01020304l0000": 2 * BASE}


def test_reserve_replaces_the_counter_of_an_earlier_epoch():
    store, counters = make()
    store.values[SEEN] = BASE + 500
    assert counters.reserve(SEEN, 2 * BASE, 0, 3) == 3
    assert store.values[SEEN] == 2 * BASE + 3


def test_resume_returns_the_greater_of_stored_and_given():
    for held, first, expected in (
        (None, None, None),
        (None, 0, 0),
        (None, 5, 5),
        (BASE - 1, None, None),
        (BASE - 1, 5, 5),
        (BASE, None, 0),
        (BASE + 9, 5, 9),
        (BASE + 4, 5, 5),
    ):
        store, counters = make()
        if held is not None:
            store.values[SEEN] = held
        assert counters.resume(SEEN, 1, first) == expected
        if expected is not None:
            assert store.values[SEEN] == BASE + expected
            assert counters.resume(SEEN, 1, None) == expected


def test_begin_returns_the_lived_time_of_its_epoch():
    store, counters = make()
    assert counters.begin(1) == 0
    assert counters.begin(1) == 0
    counters.live(1, 77)
    assert counters.begin(1) == 77
    assert counters.begin(2) == 0
    raises(UsageError, E_OLD_EPOCH, counters.begin, 1)
    assert store.values == {"01020304l0000": 2 * BASE}


def test_counter_names_encode_group_kind_and_sender():
    _, counters = make()
    assert (counters.name("t", 7), counters.name("r", 0xFFFF)) == (SENT, "01020304rffff")


def test_counters_of_different_groups_and_kinds_are_separate():
    store, counters = make()
    counters.begin(1)
    for kind in "tr":
        for sender_id in (0, 1, 0xFFFF):
            counters.resume(counters.name(kind, sender_id), 1, sender_id)
    other = Counters(store, b"\xff\xff\xff\xff")
    other.resume(other.name("t", 1), 1, 0)
    assert len(store.values) == 8
