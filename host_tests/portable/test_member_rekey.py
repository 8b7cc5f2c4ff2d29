# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Trap 8 of docs/protocol.md: re-keying that a lost datagram cannot disturb, and that never returns to an older epoch."""

from support import SECOND, A, B, C, RamStore, forge, keys_of, make_gsa, make_member, raises, seal, sealed

from dice.errors import CLASH, DATA, NONE, FormatError, StoreError, UsageError
from dice.group.gsa import UNKNOWN
from dice.group.gsa_encode import encode
from dice.group.member import Member
from dice.reasons import E_CLOSED, E_COUNTER_LOST, E_EPOCH, E_NO_NEXT_EPOCH, E_OLD_EPOCH, E_OTHER_GROUP, E_STORE_WRITE

GRACE = 60 * SECOND


class FragileStore(RamStore):
    """A store that fails after `good` more writes, unless `good` is None."""

    good = None

    def put(self, name, value):
        if self.good is not None:
            self.broken = self.good == 0
            self.good = max(0, self.good - 1)
        else:
            self.broken = False
        super().put(name, value)


def epoch_of(datagram):
    return int.from_bytes(datagram[3:5], "big")


def rekeyed(own_id=None, store=None):
    """Return a member in epoch 1 that has also installed epoch 2."""
    member = make_member(own_id, store)
    member.install(make_gsa(own_id=own_id, epoch=2), 0)
    return member


def test_trap_08_an_installed_epoch_is_received_but_not_used_to_send():
    member = rekeyed(A)
    assert epoch_of(seal(member)) == 1
    assert member.receive(sealed(0, own_id=B), 0) == DATA
    assert epoch_of(seal(member)) == 1


def test_trap_08_activation_switches_the_sender_to_the_new_epoch():
    member, other = rekeyed(A), rekeyed(B)
    member.activate(0)
    datagram = seal(member)
    assert epoch_of(datagram) == 2
    assert datagram[6:11] == bytes(5)
    assert other.receive(datagram, 0) == DATA


def test_trap_08_the_first_authentic_record_of_the_next_epoch_activates_it():
    member = rekeyed(A)
    assert member.receive(forge(sealed(0, own_id=B, epoch=2)), 0) == NONE
    assert epoch_of(seal(member)) == 1
    assert member.receive(sealed(0, own_id=B, epoch=2), 0) == DATA
    assert epoch_of(seal(member)) == 2


def test_trap_08_the_previous_epoch_is_received_during_the_grace_period():
    member = rekeyed()
    assert member.receive(sealed(0), 0) == DATA
    member.activate(5)
    assert member.receive(sealed(0), 6) == NONE
    assert member.receive(sealed(1), 6) == DATA
    assert member.receive(sealed(0, epoch=2), 6) == DATA
    assert member.deadline() == 5 + GRACE
    assert member.receive(sealed(2), 4 + GRACE) == DATA
    assert member.receive(sealed(3), 5 + GRACE) == NONE
    assert member.dropped == {"replayed": 1, "epoch": 1}
    assert member.receive(sealed(1, epoch=2), 5 + GRACE) == DATA
    assert member.deadline() is None


def test_trap_08_keys_of_the_previous_epoch_are_overwritten_after_the_grace_period():
    member = rekeyed(A)
    old = keys_of(member.held(1))
    member.activate(0)
    assert any(old)
    member.timeout(GRACE)
    assert not any(old)
    seal(member, now=GRACE)


def test_trap_08_a_later_gsa_replaces_an_installed_one():
    member = rekeyed(A)
    member.install(make_gsa(own_id=A, epoch=4), 0)
    assert member.receive(sealed(0, own_id=B, epoch=2), 0) == NONE
    assert member.receive(sealed(0, own_id=B, epoch=4), 0) == DATA
    assert epoch_of(seal(member)) == 4


def test_trap_08_an_epoch_that_is_not_newer_is_refused():
    member = rekeyed(A)
    for epoch in (1, 2):
        raises(UsageError, E_OLD_EPOCH, member.install, make_gsa(own_id=A, epoch=epoch), 0)
    member.activate(0)
    for epoch in (1, 2):
        raises(UsageError, E_OLD_EPOCH, member.install, make_gsa(own_id=A, epoch=epoch), 0)


def test_trap_08_a_reboot_never_returns_to_an_earlier_epoch():
    for own_id in (A, None):
        store = RamStore()
        rekeyed(own_id, store).activate(0)
        for fresh in (True, False):
            raises(UsageError, E_OLD_EPOCH, Member, make_gsa(own_id=own_id, fresh=fresh), store, 0)
        make_member(own_id, store, epoch=2, fresh=False)


def test_trap_08_records_received_in_the_grace_period_are_not_accepted_after_a_reboot():
    store = RamStore()
    member = make_member(None, store, senders=[(A, 0)])
    member.install(make_gsa(epoch=2, senders=[(A, UNKNOWN)]), 0)
    member.activate(0)
    assert member.receive(sealed(7), 0) == DATA
    raises(UsageError, E_OLD_EPOCH, Member, make_gsa(senders=[(A, 0)], fresh=False), store, 0)


def test_trap_08_a_gsa_of_another_group_and_activation_without_a_next_epoch_are_refused():
    member = make_member(A)
    raises(UsageError, E_OTHER_GROUP, member.install, make_gsa(own_id=A, epoch=2, gid=b"gid2"), 0)
    raises(UsageError, E_NO_NEXT_EPOCH, member.activate, 0)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    member.activate(0)
    raises(UsageError, E_NO_NEXT_EPOCH, member.activate, 0)
    member.timeout(GRACE)
    raises(UsageError, E_NO_NEXT_EPOCH, member.activate, 0)
    member.close()
    raises(UsageError, E_CLOSED, member.install, make_gsa(own_id=A, epoch=3), 0)
    raises(UsageError, E_NO_NEXT_EPOCH, member.activate, 0)


def test_trap_08_records_of_epochs_without_keys_are_dropped():
    """Also if two epochs have keys."""
    member = make_member()
    member.install(make_gsa(epoch=2), 0)
    for epoch in (3, 256, 0xFFFF):
        assert member.receive(sealed(0, epoch=epoch), 0) == NONE
    assert member.dropped == {"epoch": 3}


def test_trap_08_the_epoch_never_wraps():
    member = make_member(A, epoch=65534)
    member.install(make_gsa(own_id=A, epoch=65535), 0)
    member.activate(0)
    assert epoch_of(seal(member)) == 65535
    raises(FormatError, E_EPOCH, lambda: encode(make_gsa(epoch=65536)))
    raises(UsageError, E_OLD_EPOCH, member.install, make_gsa(own_id=A, epoch=1), 0)


def test_trap_08_several_rekeys_in_a_row_lose_no_record():
    sender, listener = make_member(A), make_member()
    for epoch in range(2, 8):
        for member, own_id in ((sender, A), (listener, None)):
            member.install(make_gsa(own_id=own_id, epoch=epoch), 0)
        if epoch & 1:
            listener.activate(0)
        sender.activate(0)
        for _ in range(3):
            assert listener.receive(seal(sender), 0) == DATA
    assert listener.dropped == {}


def test_trap_08_the_sequence_numbers_of_the_next_gsa_are_used():
    member = make_member()
    member.install(make_gsa(epoch=2, senders=[(A, 2 << 48 | 10), (B, UNKNOWN)]), 0)
    assert member.receive(sealed(9, epoch=2), 0) == NONE
    assert member.receive(sealed(0, own_id=B, epoch=2), 0) == NONE
    assert member.dropped == {"replayed": 1, "first": 1}
    assert member.receive(sealed(10, epoch=2), 0) == DATA
    assert member.receive(sealed(1, own_id=B, epoch=2), 0) == DATA


def test_trap_08_a_store_that_fails_keeps_the_current_epoch():
    store = RamStore()
    member = rekeyed(A, store)
    store.broken = True
    raises(StoreError, E_STORE_WRITE, member.activate, 0)
    assert member.receive(sealed(0, own_id=B, epoch=2), 0) == NONE
    assert member.dropped == {"unsaved": 1}
    assert member.deadline() is None
    store.broken = False
    assert epoch_of(seal(member)) == 1
    assert member.receive(sealed(0, own_id=B, epoch=2), 0) == DATA
    assert epoch_of(seal(member)) == 2


def test_trap_08_a_repeated_activation_still_drops_the_first_record_of_unknown_freshness():
    for good in range(2):
        store = FragileStore()
        member = make_member(None, store)
        member.install(make_gsa(epoch=2, senders=[(A, UNKNOWN), (B, 0)]), 0)
        store.good = good
        raises(StoreError, E_STORE_WRITE, member.activate, 0)
        store.good = None
        member.activate(0)
        assert member.receive(sealed(5, epoch=2), 0) == NONE
        assert member.dropped == {"first": 1}


def test_trap_08_an_activation_that_fails_halfway_repeats_no_nonce_and_accepts_no_replay():
    outcomes = []
    for good in range(6):
        store = FragileStore()
        member, other = make_member(A, store), rekeyed(B)
        member.install(make_gsa(own_id=A, epoch=2), 0)
        assert member.receive(sealed(3, own_id=C), 0) == DATA
        seal(member)
        store.good = good
        try:
            member.activate(0)
            outcomes.append("activated")
            store.good = None
        except StoreError:
            outcomes.append("failed")
            assert epoch_of(seal(member)) == 1
            store.good = None
            assert member.receive(sealed(3, own_id=C), 0) == NONE
            member.activate(0)
        datagram = seal(member)
        assert epoch_of(datagram) == 2
        assert other.receive(datagram, 0) == DATA
        assert member.receive(sealed(3, own_id=C), 0) == NONE
        assert member.receive(sealed(4, own_id=C), 0) == DATA
        assert member.receive(sealed(0, own_id=C, epoch=2), 0) == DATA
        assert member.receive(sealed(0, own_id=C, epoch=2), 0) == NONE
    assert outcomes[0] == "failed" and outcomes[-1] == "activated"


def test_trap_08_a_reboot_between_installation_and_activation_repeats_no_nonce():
    store = RamStore()
    member = make_member(A, store)
    last = seal(member)
    member.install(make_gsa(own_id=A, epoch=2), 0)
    again = make_member(A, store, fresh=False)
    assert seal(again) > last
    again.install(make_gsa(own_id=A, epoch=2), 0)
    again.activate(0)
    assert epoch_of(seal(again)) == 2


def test_trap_08_a_record_with_own_id_is_a_clash_although_the_counter_is_lost():
    member = make_member(own_id=A)
    member.install(make_gsa(own_id=A, epoch=2, fresh=False), 0)
    raises(StoreError, E_COUNTER_LOST, member.activate, 0)
    assert member.receive(sealed(5, own_id=A, epoch=2), 0) == CLASH
    assert member.dropped == {"clash": 1}
