# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The ledger of a group's counters: ahead of what is used, rarely written, never back."""

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


def test_reserve_writes_ahead_and_never_back():
    store, ledger = make()
    mark = ledger.resume(SENT, 1, 0)
    for end in (8, 9, 100):
        mark = ledger.reserve(SENT, BASE, mark, end)
        assert mark == end
        assert store.values[SENT] == BASE + end
    assert store.writes == 4


def test_reserve_that_fails():
    store, ledger = make()
    store.broken = True
    raises(StoreError, E_STORE_WRITE, ledger.reserve, SENT, BASE, 0, 8)
    store.unreadable = True
    raises(StoreError, E_STORE_READ, ledger.reserve, SENT, BASE, 0, 8)


def test_reserve_notices_another_counter():
    _, ledger = make()
    mark = ledger.reserve(SENT, BASE, 0, 10)
    ledger.reserve(SENT, BASE, mark, 11)
    raises(StoreError, E_STORE_SHARED, ledger.reserve, SENT, BASE, mark, 12)


def test_reserve_goes_on_after_a_write_that_took_hold_but_was_reported_as_failed():
    class Treacherous(RamStore):
        def put(self, name, value):
            super().put(name, value)
            if value == BASE + 8:
                raise StoreError(E_STORE_WRITE)

    store = Treacherous()
    ledger = Counters(store, GID)
    raises(StoreError, E_STORE_WRITE, ledger.reserve, SENT, BASE, 0, 8)
    raises(StoreError, E_STORE_WRITE, ledger.reserve, SEEN, BASE, 0, 8)
    assert ledger.reserve(SENT, BASE, 0, 9) == 9
    assert ledger.reserve(SEEN, BASE, 0, 9) == 9
    store.values[SENT] = BASE + 8
    raises(StoreError, E_STORE_SHARED, ledger.reserve, SENT, BASE, 9, 10)


def test_live_does_not_go_back():
    store, ledger = make()
    ledger.begin(2)
    ledger.live(1, 5)
    assert store.values == {"01020304l0000": 2 * BASE}


def test_reserve_after_an_earlier_epoch():
    store, ledger = make()
    store.values[SEEN] = BASE + 500
    assert ledger.reserve(SEEN, 2 * BASE, 0, 3) == 3
    assert store.values[SEEN] == 2 * BASE + 3


def test_resume():
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
        store, ledger = make()
        if held is not None:
            store.values[SEEN] = held
        assert ledger.resume(SEEN, 1, first) == expected
        if expected is not None:
            assert store.values[SEEN] == BASE + expected
            assert ledger.resume(SEEN, 1, None) == expected


def test_begin_and_live():
    store, ledger = make()
    assert ledger.begin(1) == 0
    assert ledger.begin(1) == 0
    ledger.live(1, 77)
    assert ledger.begin(1) == 77
    assert ledger.begin(2) == 0
    raises(UsageError, E_OLD_EPOCH, ledger.begin, 1)
    assert store.values == {"01020304l0000": 2 * BASE}


def test_names():
    _, ledger = make()
    assert (ledger.name("t", 7), ledger.name("r", 0xFFFF)) == (SENT, "01020304rffff")


def test_counters_do_not_touch():
    store, ledger = make()
    ledger.begin(1)
    for kind in "tr":
        for sender_id in (0, 1, 0xFFFF):
            ledger.resume(ledger.name(kind, sender_id), 1, sender_id)
    other = Counters(store, b"\xff\xff\xff\xff")
    other.resume(other.name("t", 1), 1, 0)
    assert len(store.values) == 8
