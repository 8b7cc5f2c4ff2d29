# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The end of a key's lifetime, and that a reboot does not prolong it."""

from support import SECOND, A, B, RamStore, keys_of, make_gsa, make_member, raises, seal, sealed

from dice._compat import MICROPYTHON, ticks_add
from dice.errors import DATA, EXPIRED, NONE, LimitError, UsageError
from dice.group.context import Context
from dice.reasons import E_EXPIRED


def live(member):
    """Call timeout() whenever it wants to be; return the ticks at which the lifetime ended."""
    while True:
        now = member.deadline()
        if member.timeout(now):
            return now


def later(ticks, seconds):
    """Return `ticks` moved by days; ticks_add() takes less than half its period at a time, six days on a board."""
    while seconds > 86400:
        ticks = ticks_add(ticks, 86400 * SECOND)
        seconds -= 86400
    return ticks_add(ticks, seconds * SECOND)


def test_unlimited():
    member = make_member(A)
    assert member.deadline() is None
    assert member.timeout(1 << 28) == NONE
    seal(member, now=1 << 28)


def test_expires():
    member = make_member(A, lifetime_s=60)
    keys = keys_of(member._context)
    assert 0 < member.deadline() <= 60 * SECOND
    assert member.timeout(60 * SECOND - 1) == NONE
    seal(member, now=60 * SECOND - 1)
    assert live(member) <= 61 * SECOND
    assert not any(keys)
    assert member.deadline() is None
    raises(LimitError, E_EXPIRED, member.send, b"x", 61 * SECOND)
    assert member.transmit() is None


def without_memory(call, member):
    """Call it while nothing can be allocated, where that can be had."""
    if MICROPYTHON:
        import micropython

        micropython.heap_lock()
    try:
        call(member)
    finally:
        if MICROPYTHON:
            micropython.heap_unlock()


def test_keys_end_where_there_is_no_memory():
    for end in (lambda member: member.timeout(60 * SECOND), lambda member: member.close()):
        member = make_member(A, lifetime_s=60)
        member.install(make_gsa(own_id=A, epoch=2), 0)
        keys = [keys_of(member.held(epoch)) for epoch in (1, 2)]
        member._lived_s, member._lifetime_end = 60, 60 * SECOND  # its last unit
        member._schedule()
        without_memory(end, member)
        assert not any(keys[0]) and not any(keys[1])
        raises(LimitError if member.timeout(60 * SECOND) else UsageError, None, member.send, b"x", 60 * SECOND)


def test_an_end_that_is_cut_short_is_made_up_for():
    """Nothing is sent from its beginning on, and the next call does the rest."""
    member = make_member(A, lifetime_s=60)
    context = member._context
    keys = keys_of(context)
    context.close = cut
    for _ in range(2):
        raises(MemoryError, None, live, member)
        raises(MemoryError, None, member.send, b"x", 61 * SECOND)
    assert any(keys) and member.transmit() is None
    context.close = lambda: Context.close(context)
    raises(LimitError, E_EXPIRED, member.send, b"x", 62 * SECOND)
    assert not any(keys) and member.timeout(62 * SECOND) == EXPIRED


def cut():
    raise MemoryError


def test_a_timeout_that_comes_late_prolongs_nothing():
    for late in (0, 1, 999, 3600 * SECOND):
        member = make_member(A, lifetime_s=60)
        assert member.timeout(60 * SECOND + late) == EXPIRED


def test_expired_stays_expired():
    member = make_member(A, lifetime_s=60)
    raises(LimitError, E_EXPIRED, member.send, b"x", 60 * SECOND)
    assert member.timeout(60 * SECOND) == EXPIRED
    assert member.receive(sealed(0, own_id=2), 60 * SECOND) == EXPIRED


def test_expires_at_a_datagram():
    member = make_member(lifetime_s=60)
    assert member.receive(sealed(0), 30 * SECOND) == DATA
    assert member.receive(sealed(1), 61 * SECOND) == EXPIRED
    assert member.data is None


def test_deadlines_add_up_to_the_lifetime():
    for lifetime_s in (1, 2, 59, 61, 3600, 86400, 7 * 86400):
        for start in (0, (1 << 28) - 1):
            member = make_member(lifetime_s=lifetime_s, now=start)
            assert live(member) == later(start, lifetime_s)


def test_long_lifetimes_are_kind_to_flash():
    store = RamStore()
    live(make_member(None, store, lifetime_s=30 * 86400))
    assert store.writes < 800


def test_ticks_that_wrap():
    start = ticks_add(0, -30 * SECOND)
    member = make_member(lifetime_s=60, now=start)
    assert member.receive(sealed(0), ticks_add(start, 59 * SECOND)) == DATA
    assert member.receive(sealed(1), ticks_add(start, 60 * SECOND)) == EXPIRED


def test_reboot_does_not_prolong():
    for own_id in (None, A):
        store = RamStore()
        for boot in range(10):
            member = make_member(own_id, store, lifetime_s=10, fresh=not boot)
            assert member.timeout(0) == NONE
        assert make_member(own_id, store, lifetime_s=10, fresh=False).timeout(0) == EXPIRED


def test_reboot_in_the_middle():
    store = RamStore()
    first = make_member(None, store, lifetime_s=600)
    while first.deadline() < 120 * SECOND:
        now = first.deadline()
        assert first.timeout(now) == NONE
    used = first.deadline()  # is accounted for ahead
    second = make_member(None, store, lifetime_s=600, fresh=False)
    assert live(second) == 600 * SECOND - used
    assert make_member(None, store, lifetime_s=600, fresh=False).timeout(0) == EXPIRED


def test_expired_at_the_start():
    store = RamStore()
    live(make_member(A, store, lifetime_s=60))
    again = make_member(A, store, lifetime_s=60, fresh=False)
    raises(LimitError, E_EXPIRED, again.send, b"x", 0)
    assert again.timeout(0) == EXPIRED
    assert again.deadline() is None


def test_next_epoch_begins_anew():
    member = make_member(A, lifetime_s=60, options={"grace_ms": 0})
    member.install(make_gsa(own_id=A, epoch=2, lifetime_s=60), 0)
    assert member.timeout(50 * SECOND) == NONE
    member.activate(50 * SECOND)
    assert live(member) == 110 * SECOND


def test_deadline_is_the_earlier():
    for grace_ms, lifetime_s, expected in ((500, 1, 500), (5000, 1, 1000), (700, 0, 700)):
        member = make_member(A, options={"grace_ms": grace_ms})
        member.install(make_gsa(own_id=A, epoch=2, lifetime_s=lifetime_s), 0)
        member.activate(0)
        assert member.deadline() == expected
    member.timeout(700)
    assert member.deadline() is None


def test_a_failure_while_an_epoch_is_entered_leaves_no_key_without_its_end():
    class Full(RamStore):
        def put(self, name, value):
            if name[8] == "l" and value > 2 << 48:
                raise MemoryError
            super().put(name, value)

    member = make_member(A, Full())
    member.install(make_gsa(own_id=A, epoch=2, lifetime_s=10), 0)
    try:
        member.activate(0)
    except MemoryError:
        pass
    assert member.deadline() is not None


def test_keys_do_not_outlive_their_epoch_by_the_period_of_grace():
    member = make_member(A, lifetime_s=10)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    member.activate(0)
    assert member.receive(sealed(0, own_id=B), 9 * SECOND) == DATA
    member.timeout(10 * SECOND)
    assert member.receive(sealed(1, own_id=B), 10 * SECOND) == NONE
    assert member.dropped == {"epoch": 1}


def test_refused_sends_raise_a_new_exception_each_time():
    member = make_member(A, lifetime_s=1)
    live(member)
    errors = []
    for _ in range(2):
        try:
            member.send(b"x", 5 * SECOND)
        except LimitError as error:
            errors.append(error)
    assert errors[0] is not errors[1]
