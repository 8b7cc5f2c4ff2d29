# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Traps 1 to 6 of docs/protocol.md: freshness, nonces, and no change of state before the tag is verified."""

from support import A, B, C, RamStore, forge, make_gsa, make_member, raises, seal, sealed

from dice.errors import DATA, NONE, FormatError, StoreError
from dice.group.gsa import D00, DERIVE_SHARED, UNKNOWN
from dice.group.gsa_encode import encode
from dice.group.member import Member
from dice.reasons import E_COUNTER_LOST, E_EPOCH, E_STORE_READ, E_STORE_WRITE, E_VALUE

LIST = [(A, UNKNOWN), (B, UNKNOWN)]


def field(datagram):
    """Return epoch, SenderID and sequence number as transmitted: the whole nonce but the salt."""
    return bytes(datagram[3:11])


def accepts(listener, sequence, **changes):
    return listener.receive(sealed(sequence, **changes), 0) == DATA


def test_trap_01_sequence_number_0_is_accepted_first():
    sender, listener = make_member(A), make_member()
    first = seal(sender)
    assert field(first) == b"\0\1\1\0\0\0\0\0"
    assert listener.receive(first, 0) == DATA
    assert listener.receive(first, 0) == NONE
    assert listener.receive(seal(sender), 0) == DATA
    assert listener.dropped == {"replayed": 1}


def test_trap_02_duplicates_are_dropped():
    listener = make_member()
    for sequence in (0, 1, 5, 3):
        assert accepts(listener, sequence)
    for sequence in (0, 1, 3, 5, 5):
        assert not accepts(listener, sequence)
    assert listener.dropped == {"replayed": 5}


def test_trap_02_the_window_covers_64_records():
    listener = make_member()
    assert accepts(listener, 100)
    assert not accepts(listener, 36)
    assert accepts(listener, 37)
    assert not accepts(listener, 37)


def test_trap_02_each_sender_has_a_window_of_its_own():
    listener = make_member()
    assert accepts(listener, 500, own_id=A)
    assert accepts(listener, 0, own_id=B)
    assert accepts(listener, 499, own_id=A)


def test_trap_03_group_epochs_start_at_1():
    raises(FormatError, E_EPOCH, lambda: encode(make_gsa(epoch=0)))
    listener = make_member(derive=DERIVE_SHARED)
    zero = sealed(0, derive=DERIVE_SHARED)
    zero[3:5] = b"\0\0"
    plaintext = b"\x17\xfe\xfd" + bytes(8) + b"\0\x10plaintext record"
    for datagram in (zero, plaintext):
        assert listener.receive(datagram, 0) == NONE
    assert listener.dropped == {"epoch": 2}


def test_trap_03_suites_without_encryption_are_refused():
    for suite in (0x0000, 0x002C, 0x00B0):
        raises(FormatError, E_VALUE, lambda suite=suite: encode(make_gsa(suite=suite)))


def test_trap_04_a_reboot_never_repeats_a_nonce():
    for options in ({}, {"reserve_records": 1}, {"reserve_records": 5}):
        for layout in (1, D00):
            store, used, fresh = RamStore(), set(), True
            for sends in (0, 1, 3, 5, 6, 64, 65, 0, 2):
                sender = make_member(A, store, options=options, fresh=fresh, layout=layout)
                for _ in range(sends):
                    nonce = field(seal(sender))
                    assert nonce not in used
                    used.add(nonce)
                fresh = not fresh
            assert len(used) == 146


def test_trap_04_the_counter_is_stored_before_the_record_exists():
    store = RamStore()
    sender = make_member(A, store, options={"reserve_records": 4})
    for count in range(20):
        sender.send(b"x", 0)
        assert store.values["01020304t0001"] > 1 << 48 | count
        sender.transmit()


def test_trap_04_a_reboot_skips_the_reserved_numbers():
    store = RamStore()
    seal(make_member(A, store))
    again = make_member(A, store, fresh=False)
    assert field(seal(again)) == b"\0\1\1\0\0\0\0\x40"


def test_trap_04_a_store_that_fails_stops_sending():
    store = RamStore()
    sender = make_member(A, store, options={"reserve_records": 2})
    seal(sender)
    seal(sender)
    store.broken = True
    for _ in range(3):
        raises(StoreError, E_STORE_WRITE, sender.send, b"x", 0)
        assert sender.transmit() is None
    store.unreadable = True
    raises(StoreError, E_STORE_READ, sender.send, b"x", 0)
    store.broken = store.unreadable = False
    assert field(seal(sender)) > b"\0\1\1\0\0\0\0\1"


def test_trap_04_a_store_that_fails_at_the_start_prevents_the_join():
    store = RamStore()
    store.broken = True
    raises(StoreError, E_STORE_WRITE, Member, make_gsa(own_id=A), store, 0)
    store.unreadable = True
    raises(StoreError, E_STORE_READ, Member, make_gsa(own_id=A), store, 0)
    raises(StoreError, E_STORE_READ, Member, make_gsa(own_id=A, fresh=False), store, 0)


def test_trap_04_a_lost_counter_prevents_the_join():
    raises(StoreError, E_COUNTER_LOST, Member, make_gsa(own_id=A, fresh=False), RamStore(), 0)
    store = RamStore()
    store.values["01020304t0001"] = (1 << 48) - 1
    raises(StoreError, E_COUNTER_LOST, Member, make_gsa(own_id=A, fresh=False), store, 0)


def test_trap_04_a_gsa_never_decreases_the_counter():
    store = RamStore()
    sender = make_member(A, store)
    for _ in range(3):
        seal(sender)
    assert field(seal(make_member(A, store, own_next=1 << 48 | 1))) == b"\0\1\1\0\0\0\0\x40"
    assert field(seal(make_member(A, store, own_next=1 << 48 | 500))) == b"\0\1\1\0\0\0\1\xf4"


def test_trap_05_a_late_joiner_with_sequence_numbers_drops_only_older_records():
    listener = make_member(senders=[(A, 1 << 48 | 100), (B, 1 << 48)])
    for sequence in (0, 50, 99):
        assert not accepts(listener, sequence)
    assert listener.dropped == {"replayed": 3}
    assert accepts(listener, 100)
    assert accepts(listener, 0, own_id=B)


def test_trap_05_a_late_joiner_without_sequence_numbers_drops_the_first_record():
    listener = make_member(senders=LIST)
    assert not accepts(listener, 7)
    assert listener.dropped == {"first": 1}
    assert not accepts(listener, 7)
    assert not accepts(listener, 6)
    assert listener.dropped == {"first": 1, "replayed": 2}
    assert accepts(listener, 8)
    assert not accepts(listener, 7, own_id=B)
    assert listener.dropped == {"first": 2, "replayed": 2}


def test_trap_05_a_sequence_number_of_an_earlier_epoch_means_nothing_was_sent():
    listener = make_member(epoch=3, senders=[(A, 2 << 48 | 100)])
    assert accepts(listener, 0, epoch=3)


def test_trap_05_windows_survive_a_reboot():
    for senders in ([(A, 0), (B, 0)], LIST):
        store = RamStore()
        listener = make_member(None, store, senders=senders)
        accepts(listener, 3)
        assert accepts(listener, 10)
        for fresh in (False, True):  # fresh: the device lost power before it rewrote its GSA
            again = make_member(None, store, senders=senders, fresh=fresh)
            for sequence in range(11):
                assert not accepts(again, sequence)
            assert again.dropped == {"replayed": 11}
        assert accepts(again, 11)


def test_trap_05_sequence_numbers_of_a_gsa_are_used_only_once():
    store = RamStore()
    make_member(None, store, senders=[(A, 1 << 48 | 5), (B, UNKNOWN)])
    again = make_member(None, store, senders=[(A, 1 << 48 | 5), (B, 1 << 48)], fresh=False)
    assert accepts(again, 5)
    assert not accepts(again, 0, own_id=B)
    assert again.dropped == {"first": 1}


def test_trap_05_rarely_stored_windows_may_drop_but_never_accept_a_replay():
    options = {"remember_records": 8}
    store = RamStore()
    listener = make_member(None, store, options=options)
    for sequence in range(20):
        assert accepts(listener, sequence)
    again = make_member(None, store, fresh=False, options=options)
    taken = [sequence for sequence in range(40) if accepts(again, sequence)]
    assert taken == list(range(24, 40))


def test_trap_06_a_forgery_moves_no_window():
    listener = make_member()
    assert accepts(listener, 0)
    for sequence in (1, 64, 65, 1000, (1 << 40) - 1):
        assert listener.receive(forge(sealed(sequence)), 0) == NONE
    assert listener.dropped == {"forged": 5}
    assert accepts(listener, 1)


def test_trap_06_a_forgery_changes_no_state():
    store = RamStore()
    listener = make_member(None, store, senders=LIST)
    before = dict(store.values)
    for _ in range(3):
        assert listener.receive(forge(sealed(5)), 0) == NONE
    assert listener.dropped == {"forged": 3}
    assert store.values == before
    assert listener.held(1).senders[A].next is None
    assert not accepts(listener, 2)
    assert listener.dropped == {"forged": 3, "first": 1}


def test_trap_06_a_forgery_writes_nothing_to_flash():
    store = RamStore()
    listener = make_member(C, store)
    before = store.writes
    for own_id in (A, B, C):
        for sequence in (0, 70, 1000):
            listener.receive(forge(sealed(sequence, own_id=own_id)), 0)
    assert store.writes == before
    assert listener.dropped == {"forged": 9}
