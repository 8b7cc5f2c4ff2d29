# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Traps 7 and 9 to 11 of docs/protocol.md: SenderIDs, budgets and several groups. Trap 8 is in test_member_rekey.py."""

from support import SECOND, A, B, C, RamStore, forge, keys_of, make_gsa, make_member, raises, seal, sealed

from dice.errors import CLASH, DATA, NONE, FormatError, LimitError
from dice.group.gsa import D00, DERIVE_SENDER, DERIVE_SHARED, K08
from dice.group.gsa_encode import encode
from dice.reasons import E_BUDGET, E_CLASH, E_SENDER_ID, E_SPENT


def test_trap_07_own_records_that_loop_back_are_ignored():
    sender = make_member(A)
    for _ in range(3):
        assert sender.receive(seal(sender), 0) == NONE
    assert sender.dropped == {"own": 3}
    seal(sender)


def test_trap_07_replays_of_own_records_are_ignored():
    store = RamStore()
    sender = make_member(A, store)
    first, second = seal(sender), seal(sender)
    for datagram in (second, first, first):
        assert sender.receive(datagram, 0) == NONE
    again = make_member(A, store, fresh=False)
    for datagram in (first, second):
        assert again.receive(datagram, 0) == NONE
    assert again.dropped == {"own": 2}
    seal(again)


def test_trap_07_forgeries_with_own_id_are_ignored():
    sender = make_member(A)
    for sequence in (0, 1, 500):
        assert sender.receive(forge(sealed(sequence)), 0) == NONE
    assert sender.dropped == {"forged": 3}
    assert sender.forged() == {(1, A): 3}
    seal(sender)


def test_trap_07_an_authentic_record_with_own_id_that_was_not_sent_is_a_clash():
    for derive in (DERIVE_SENDER, DERIVE_SHARED):
        sender, twin = make_member(A, derive=derive), make_member(A, derive=derive)
        seal(twin)
        datagram = seal(twin)
        seal(sender)
        assert sender.receive(datagram, 0) == CLASH
        assert sender.dropped == {"clash": 1}
        assert sender.data is None
        raises(LimitError, E_CLASH, sender.send, b"x", 0)
        assert sender.transmit() is None


def test_trap_07_a_clash_does_not_stop_receiving():
    sender = make_member(A)
    assert sender.receive(sealed(9), 0) == CLASH
    assert sender.receive(sealed(0, own_id=B), 0) == DATA


def test_trap_07_a_clash_outlasts_a_reboot():
    store = RamStore()
    sender = make_member(A, store)
    assert sender.receive(sealed(9), 0) == CLASH
    for fresh in (False, True):
        raises(LimitError, E_CLASH, make_member(A, store, fresh=fresh).send, b"x", 0)


def test_trap_07_a_clash_is_detected_although_the_store_fails():
    store = RamStore()
    sender = make_member(A, store)
    store.broken = True
    assert sender.receive(sealed(9), 0) == CLASH
    raises(LimitError, E_CLASH, sender.send, b"x", 0)


def test_trap_07_a_clash_ends_with_its_epoch():
    sender, listener = make_member(A), make_member(epoch=2)
    assert sender.receive(sealed(9), 0) == CLASH
    sender.install(make_gsa(own_id=A, epoch=2), 0)
    raises(LimitError, E_CLASH, sender.send, b"x", 0)
    sender.activate(0)
    assert listener.receive(seal(sender), 0) == DATA


def test_trap_07_a_clash_in_the_next_epoch_stops_sending_there():
    sender = make_member(A)
    sender.install(make_gsa(own_id=A, epoch=2), 0)
    assert sender.receive(sealed(0, epoch=2), 0) == CLASH
    assert sender.receive(sealed(0, epoch=2), 0) == NONE
    seal(sender)
    sender.activate(0)
    raises(LimitError, E_CLASH, sender.send, b"x", 0)


def test_trap_07_a_clash_in_the_next_epoch_outlasts_a_reboot():
    store = RamStore()
    sender = make_member(A, store)
    sender.install(make_gsa(own_id=A, epoch=2), 0)
    assert sender.receive(sealed(0, epoch=2), 0) == CLASH
    raises(LimitError, E_CLASH, make_member(A, store, epoch=2).send, b"x", 0)


def test_trap_07_replays_of_own_records_of_the_previous_epoch_are_ignored():
    sender = make_member(A)
    datagram = seal(sender)
    sender.install(make_gsa(own_id=A, epoch=2), 0)
    sender.activate(0)
    assert sender.receive(datagram, 0) == NONE
    assert sender.dropped == {"own": 1}
    seal(sender)


def test_trap_09_a_key_seals_no_more_records_than_its_budget():
    for reserve_records in (1, 4, 64):
        store = RamStore()
        sender = make_member(A, store, budget=10, options={"reserve_records": reserve_records})
        for _ in range(10):
            seal(sender)
        for _ in range(3):
            raises(LimitError, E_SPENT, sender.send, b"x", 0)
            assert sender.transmit() is None
        raises(LimitError, E_SPENT, make_member(A, store, budget=10, fresh=False).send, b"x", 0)
        raises(LimitError, E_SPENT, make_member(A, store, budget=10).send, b"x", 0)


def test_trap_09_the_budget_of_a_shared_key_is_divided_among_its_senders():
    most = 1 << 23
    encode(make_gsa(budget=most))
    raises(FormatError, E_BUDGET, lambda: encode(make_gsa(budget=most + 1)))
    four = [(i, 0) for i in range(4)]
    encode(make_gsa(budget=most // 4, derive=DERIVE_SHARED, senders=four))
    raises(FormatError, E_BUDGET, lambda: encode(make_gsa(budget=most // 4 + 1, derive=DERIVE_SHARED, senders=four)))


def test_trap_09_failed_tags_are_counted_for_each_key_and_switch_nothing_off():
    listener = make_member(C)
    listener.install(make_gsa(own_id=C, epoch=2), 0)
    assert listener.forged() == {}
    for _ in range(200):
        assert listener.receive(forge(sealed(0)), 0) == NONE
    for _ in range(3):
        listener.receive(forge(sealed(0, own_id=B)), 0)
        listener.receive(forge(sealed(0, epoch=2)), 0)
    listener.receive(forge(sealed(0, own_id=C)), 0)
    assert listener.forged() == {(1, A): 200, (1, B): 3, (1, C): 1, (2, A): 3}
    assert listener.dropped == {"forged": 207}
    assert listener.receive(sealed(0), 0) == DATA
    seal(listener)
    assert listener.forged()[1, A] == 200


def test_trap_09_counts_of_the_previous_epoch_last_until_its_keys_are_overwritten():
    listener = make_member(options={"grace_ms": 60 * SECOND})
    listener.receive(forge(sealed(0)), 0)
    listener.install(make_gsa(epoch=2), 0)
    listener.activate(0)
    assert listener.forged() == {(1, A): 1}
    listener.timeout(60 * SECOND)
    assert listener.forged() == {}


def relabelled(datagram, layout, sender_id):
    """Return a copy of a record that claims `sender_id` in header and explicit nonce."""
    copy = bytearray(datagram)
    label = bytes((sender_id,)) if layout == K08 else sender_id.to_bytes(2, "big")
    copy[5 : 5 + len(label)] = label
    copy[15 : 15 + len(label)] = label
    return copy


def test_trap_10_a_record_cannot_be_moved_to_another_sender():
    for layout in (K08, D00):
        for derive in (DERIVE_SENDER, DERIVE_SHARED):
            changes = {"layout": layout, "derive": derive}
            listener = make_member(**changes)
            datagram = sealed(0, **changes)
            assert relabelled(datagram, layout, A) == datagram
            assert listener.receive(relabelled(datagram, layout, B), 0) == NONE
            assert listener.dropped == {"forged": 1}
            assert listener.receive(datagram, 0) == DATA


def test_trap_10_each_sender_group_and_epoch_has_its_own_key():
    keys = set()
    for gid in (b"aaaa", b"bbbb"):
        for epoch in (1, 2):
            member = make_member(gid=gid, epoch=epoch)
            for at in (0, 28, 56):
                keys.add(bytes(keys_of(member.held(epoch))[at : at + 20]))
    assert len(keys) == 12


def test_trap_10_a_sender_that_is_not_in_the_gsa_is_unknown():
    listener = make_member(senders=[(A, 0), (C, 0)])
    assert listener.receive(sealed(0, own_id=B), 0) == NONE
    assert listener.dropped == {"unknown": 1}
    assert listener.forged() == {}


def test_trap_10_sender_ids_out_of_range_or_repeated_are_refused():
    for layout, top in ((K08, 255), (D00, 65535)):
        encode(make_gsa(layout=layout, own_id=top, senders=[(top, 0)]))
        for senders in ([(top + 1, 0)], [(-1, 0)], [(A, 0), (A, 0)]):
            raises(
                FormatError, E_SENDER_ID, lambda layout=layout, senders=senders: encode(make_gsa(layout=layout, senders=senders))
            )
    raises(FormatError, E_SENDER_ID, lambda: encode(make_gsa(own_id=9, own_next=1)))  # a listener has no sequence number


def test_trap_11_records_of_another_group_on_the_same_socket_are_dropped():
    for changes, kind in (
        ({"key": bytearray(b"another key.....")}, "forged"),
        ({"gid": b"gid2"}, "forged"),
        ({"epoch": 2}, "epoch"),
        ({"own_id": 77, "senders": [(77, 0)]}, "unknown"),
    ):
        listener = make_member()
        for sequence in (0, 1, 1000):
            assert listener.receive(sealed(sequence, **changes), 0) == NONE
        assert listener.dropped == {kind: 3}
        assert listener.receive(sealed(0), 0) == DATA


def test_trap_11_records_under_the_key_of_another_group_are_dropped():
    shared = {"derive": DERIVE_SHARED, "key": bytearray(range(20, 40))}
    listener = make_member(derive=DERIVE_SHARED)
    assert listener.receive(sealed(0, **shared), 0) == NONE
    assert listener.dropped == {"forged": 1}
