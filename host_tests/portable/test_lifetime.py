# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A key's lifetime ends in time, and a reboot does not prolong it."""

from support import SECOND, A, B, RamStore, keys_of, make_gsa, make_member, raises, seal, sealed

from dice._compat import MICROPYTHON, ticks_add
from dice.errors import DATA, EXPIRED, NONE, LimitError, StoreError, UsageError
from dice.group.context import Context
from dice.reasons import E_EXPIRED, E_STORE_WRITE


def run_to_the_end(member):
    """Call timeout() at each deadline; return the ticks at which the lifetime ended."""
    while True:
        now = member.deadline()
        if member.timeout(now):
            return now


def later(ticks, seconds):
    """Return `ticks` + `seconds`. ticks_add() takes less than half its period at a time, six days on a board."""
    while seconds > 86400:
        ticks = ticks_add(ticks, 86400 * SECOND)
        seconds -= 86400
    return ticks_add(ticks, seconds * SECOND)


def test_a_lifetime_of_zero_is_unlimited():
    member = make_member(A)
    assert member.deadline() is None
    assert member.timeout(1 << 28) == NONE
    seal(member, now=1 << 28)


def test_an_expired_member_refuses_to_send_and_overwrites_its_keys():
    member = make_member(A, lifetime_s=60)
    keys = keys_of(member.held(1))
    assert 0 < member.deadline() <= 60 * SECOND
    assert member.timeout(60 * SECOND - 1) == NONE
    seal(member, now=60 * SECOND - 1)
    late = make_member(A, lifetime_s=60)
    late.timeout(60 * SECOND - 1)
    due = late.deadline()
    raises(LimitError, E_EXPIRED, late.send, b"x", due)  # at that instant, without a call of timeout()
    assert run_to_the_end(member) <= 61 * SECOND
    assert not any(keys)
    assert member.deadline() is None
    raises(LimitError, E_EXPIRED, member.send, b"x", 61 * SECOND)
    assert member.transmit() is None


def call_without_memory(call, member):
    """Call it with the heap locked, on ports that can lock it."""
    if MICROPYTHON:
        import micropython

        micropython.heap_lock()
    try:
        call(member)
    finally:
        if MICROPYTHON:
            micropython.heap_unlock()


def test_keys_are_overwritten_although_no_memory_can_be_allocated():
    for end in (lambda member: member.timeout(60 * SECOND), lambda member: member.close()):
        member = make_member(A)
        member.install(make_gsa(own_id=A, epoch=2, lifetime_s=60), 0)
        member.activate(0)  # both epochs have keys
        keys = [keys_of(member.held(epoch)) for epoch in (1, 2)]
        while member.deadline() < 60 * SECOND:
            assert member.timeout(member.deadline()) == NONE
        call_without_memory(end, member)
        assert not any(keys[0]) and not any(keys[1])
        raises(LimitError if member.timeout(60 * SECOND) else UsageError, None, member.send, b"x", 60 * SECOND)


def test_an_interrupted_expiry_is_completed_by_the_next_call():
    """Nothing is sent once the expiry has begun."""
    member = make_member(A, lifetime_s=60)
    context = member.held(1)
    keys = keys_of(context)
    context.close = raise_memory_error
    for _ in range(2):
        raises(MemoryError, None, run_to_the_end, member)
        raises(MemoryError, None, member.send, b"x", 61 * SECOND)
    assert any(keys) and member.transmit() is None
    context.close = lambda: Context.close(context)
    raises(LimitError, E_EXPIRED, member.send, b"x", 62 * SECOND)
    assert not any(keys) and member.timeout(62 * SECOND) == EXPIRED


def raise_memory_error():
    raise MemoryError


def test_a_late_timeout_does_not_prolong_the_lifetime():
    for late in (0, 1, 999, 3600 * SECOND):
        member = make_member(A, lifetime_s=60)
        assert member.timeout(60 * SECOND + late) == EXPIRED


def test_an_expired_member_stays_expired():
    member = make_member(A, lifetime_s=60)
    raises(LimitError, E_EXPIRED, member.send, b"x", 60 * SECOND)
    assert member.timeout(60 * SECOND) == EXPIRED
    assert member.receive(sealed(0, own_id=2), 60 * SECOND) == EXPIRED


def test_a_datagram_after_the_lifetime_expires_the_member():
    member = make_member(lifetime_s=60)
    assert member.receive(sealed(0), 30 * SECOND) == DATA
    assert member.receive(sealed(1), 61 * SECOND) == EXPIRED
    assert member.data is None


def test_deadlines_add_up_to_the_lifetime():
    for lifetime_s in (1, 2, 59, 61, 3600, 86400, 7 * 86400):
        for start in (0, (1 << 28) - 1):
            member = make_member(lifetime_s=lifetime_s, now=start)
            assert run_to_the_end(member) == later(start, lifetime_s)


def test_a_long_lifetime_writes_rarely_to_flash():
    store = RamStore()
    run_to_the_end(make_member(None, store, lifetime_s=30 * 86400))
    assert store.writes < 800


def test_a_lifetime_spans_the_wrap_of_the_ticks():
    start = ticks_add(0, -30 * SECOND)
    member = make_member(lifetime_s=60, now=start)
    assert member.receive(sealed(0), ticks_add(start, 59 * SECOND)) == DATA
    assert member.receive(sealed(1), ticks_add(start, 60 * SECOND)) == EXPIRED


def test_reboots_do_not_prolong_the_lifetime():
    for own_id in (None, A):
        store = RamStore()
        for boot in range(10):
            member = make_member(own_id, store, lifetime_s=10, fresh=not boot)
            assert member.timeout(0) == NONE
        assert make_member(own_id, store, lifetime_s=10, fresh=False).timeout(0) == EXPIRED


def test_a_reboot_in_the_middle_loses_at_most_the_time_counted_ahead():
    store = RamStore()
    first = make_member(None, store, lifetime_s=600)
    while first.deadline() < 120 * SECOND:
        now = first.deadline()
        assert first.timeout(now) == NONE
    used = first.deadline()  # counted ahead
    second = make_member(None, store, lifetime_s=600, fresh=False)
    assert run_to_the_end(second) == 600 * SECOND - used
    assert make_member(None, store, lifetime_s=600, fresh=False).timeout(0) == EXPIRED


def test_a_member_that_starts_expired_neither_sends_nor_waits():
    store = RamStore()
    run_to_the_end(make_member(A, store, lifetime_s=60))
    again = make_member(A, store, lifetime_s=60, fresh=False)
    raises(LimitError, E_EXPIRED, again.send, b"x", 0)
    assert again.timeout(0) == EXPIRED
    assert again.deadline() is None


def test_the_next_epoch_has_a_lifetime_of_its_own():
    member = make_member(A, lifetime_s=60, options={"grace_ms": 0})
    member.install(make_gsa(own_id=A, epoch=2, lifetime_s=60), 0)
    assert member.timeout(50 * SECOND) == NONE
    member.activate(50 * SECOND)
    assert run_to_the_end(member) == 110 * SECOND


def test_the_deadline_is_the_earlier_of_grace_period_and_lifetime():
    for grace_ms, lifetime_s, expected in ((500, 1, 500), (5000, 1, 1000), (700, 0, 700)):
        member = make_member(A, options={"grace_ms": grace_ms})
        member.install(make_gsa(own_id=A, epoch=2, lifetime_s=lifetime_s), 0)
        member.activate(0)
        assert member.deadline() == expected
    member.timeout(700)
    assert member.deadline() is None


def test_a_failure_while_entering_an_epoch_keeps_the_deadline():
    class ShortStore(RamStore):
        def put(self, name, value):
            if name[8] == "l" and value > 2 << 48:
                raise MemoryError
            super().put(name, value)

    member = make_member(A, ShortStore())
    member.install(make_gsa(own_id=A, epoch=2, lifetime_s=10), 0)
    raises(MemoryError, None, member.activate, 0)
    assert member.deadline() is not None


def test_the_grace_period_does_not_outlast_the_previous_epochs_lifetime():
    member = make_member(A, lifetime_s=10)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    member.activate(0)
    assert member.receive(sealed(0, own_id=B), 9 * SECOND) == DATA
    member.timeout(10 * SECOND)
    assert member.receive(sealed(1, own_id=B), 10 * SECOND) == NONE
    assert member.dropped == {"epoch": 1}


def test_refused_sends_raise_a_new_exception_each_time():
    member = make_member(A, lifetime_s=1)
    run_to_the_end(member)
    errors = []
    for _ in range(2):
        try:
            member.send(b"x", 5 * SECOND)
        except LimitError as error:
            errors.append(error)
    assert errors[0] is not errors[1]


class FullStore(RamStore):
    """A store that fails to begin epoch 2 while `full` is set."""

    full = True

    def put(self, name, value):
        if self.full and value >> 48 == 2:
            raise StoreError(E_STORE_WRITE)
        super().put(name, value)


def run_until(member, end):
    """Call timeout() at each deadline up to `end`; return what it returned."""
    events = []
    while member.deadline() is not None and member.deadline() <= end:
        events.append(member.timeout(member.deadline()))
    return events


def test_a_member_that_holds_the_next_epoch_goes_on_to_it_when_its_lifetime_ends():
    """F15: all members of a quiet group fell out together, with the next epoch in their hands."""
    for own_id in (A, None):
        member = make_member(own_id, lifetime_s=100)
        keys = keys_of(member.held(1))
        member.install(make_gsa(own_id=own_id, epoch=2, lifetime_s=50), 50 * SECOND)
        assert EXPIRED not in run_until(member, 100 * SECOND)
        assert not any(keys) and member.held(1) is None and member.held(0).epoch == 2
        assert member.receive(sealed(0, own_id=B), 100 * SECOND) == NONE, "no grace"
        assert member.receive(sealed(0, own_id=B, epoch=2), 100 * SECOND) == DATA
        if own_id:
            assert seal(member, now=100 * SECOND)[4] == 2
        assert run_until(member, 150 * SECOND)[-1] == EXPIRED


def test_sending_at_that_instant_goes_on_too():
    member = make_member(A, lifetime_s=1)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    assert seal(member, now=SECOND)[4] == 2


def test_a_previous_epoch_in_its_grace_period_is_no_next_one():
    member = make_member(A)
    member.install(make_gsa(own_id=A, epoch=2, lifetime_s=10), 0)
    member.activate(0)
    assert run_to_the_end(member) == 10 * SECOND
    assert member.held(1) is None and member.held(2) is None


def test_a_store_that_fails_when_the_lifetime_ends_is_tried_again():
    """Meanwhile nothing is received or sent: the keys are over."""
    for own_id in (A, None):
        store = FullStore()
        member = make_member(own_id, store, lifetime_s=10)
        keys = keys_of(member.held(1))
        member.install(make_gsa(own_id=own_id, epoch=2), 0)
        assert EXPIRED not in run_until(member, 30 * SECOND)
        assert not any(keys)
        assert member.receive(sealed(0, own_id=B), 30 * SECOND) == NONE
        assert member.receive(sealed(0, own_id=B, epoch=2), 30 * SECOND) == NONE
        raises(LimitError, E_EXPIRED, member.send, b"x", 30 * SECOND)
        store.full = False
        assert EXPIRED not in run_until(member, 32 * SECOND)
        assert member.receive(sealed(0, own_id=B, epoch=2), 32 * SECOND) == DATA
        if own_id:
            seal(member, now=32 * SECOND)


def test_a_record_of_the_next_epoch_enters_it_where_the_store_has_failed():
    store = FullStore()
    member = make_member(A, store, lifetime_s=10)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    run_until(member, 10 * SECOND)
    store.full = False
    assert member.receive(sealed(0, own_id=B, epoch=2), 10 * SECOND + 1) == DATA
    assert seal(member, now=10 * SECOND + 1)[4] == 2


def test_a_lost_counter_stops_a_member_at_the_end_of_a_lifetime_and_a_later_epoch_helps():
    member = make_member(A, lifetime_s=10)
    member.install(make_gsa(own_id=A, epoch=2, fresh=False), 0)
    assert EXPIRED not in run_until(member, 20 * SECOND)
    raises(LimitError, E_EXPIRED, member.send, b"x", 20 * SECOND)
    member.install(make_gsa(own_id=A, epoch=3), 20 * SECOND)
    run_until(member, 22 * SECOND)
    assert seal(member, now=22 * SECOND)[4] == 3
