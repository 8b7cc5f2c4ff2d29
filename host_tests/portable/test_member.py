# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A single member: which datagrams it accepts, how it counts those it drops, and which calls it refuses."""

import os
from array import array

from support import A, B, RamStore, forge, keys_of, make_gsa, make_member, raises, seal, sealed

from dice.errors import CLASH, DATA, NONE, LimitError, StoreError, UsageError
from dice.group.context import Context
from dice.group.gsa import D00, DERIVE_SENDER, DERIVE_SHARED, K08, UNKNOWN
from dice.group.member import Member
from dice.limits import RESERVE_RECORDS
from dice.reasons import E_CLASH, E_CLOSED, E_NOT_A_SENDER, E_NOT_BYTES, E_NOT_SENT, E_OPTION, E_STORE_SHARED, E_TOO_LONG
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8


def dropped_as(kind, member, datagram, now=0):
    """Assert that the datagram is dropped, and counted as `kind` alone."""
    before = dict(member.dropped)
    accepted = member.accepted
    assert member.receive(datagram, now) == NONE
    before[kind] = before.get(kind, 0) + 1
    assert member.dropped == before
    assert member.accepted == accepted
    assert member.data is None and member.sender is None


def test_messages_in_every_kind_of_group_are_received():
    for layout in (K08, D00):
        for derive in (DERIVE_SENDER, DERIVE_SHARED):
            for suite, tag_bytes in ((PSK_AES_128_CCM_8, 8), (PSK_AES_128_CCM, 16)):
                key = bytearray(os.urandom(16 if derive == DERIVE_SENDER else 20))
                changes = {"layout": layout, "derive": derive, "suite": suite, "key": key}
                sender, other, listener = make_member(A, **changes), make_member(B, **changes), make_member(**changes)
                for message in (b"", b"on", bytes(1195)):
                    datagram = seal(sender, message)
                    assert len(datagram) == 21 + len(message) + tag_bytes
                    for member in (other, listener):
                        assert member.receive(datagram, 0) == DATA
                        assert (member.sender, member.data) == (A, message)
                assert listener.receive(seal(other), 0) == DATA
                assert listener.sender == B
                assert (listener.accepted, listener.dropped) == (4, {})


def test_the_highest_sender_id_of_each_layout_works():
    for layout, sender_id in ((K08, 255), (D00, 65535)):
        changes = {"layout": layout, "senders": [(sender_id, 0)]}
        listener = make_member(**changes)
        assert listener.receive(seal(make_member(sender_id, **changes)), 0) == DATA
        assert listener.sender == sender_id


def test_malformed_datagrams_are_dropped():
    listener = make_member()
    good = sealed(0)
    for datagram in (b"", b"\x17", good[:20], good[:-1], good + b"\0", good + good, forge(good, 1), bytes(1232), bytes(1233)):
        dropped_as("malformed", listener, datagram)
    for content_type in (0, 20, 21, 22, 24, 25, 255):
        datagram = bytearray(good)
        datagram[0] = content_type
        dropped_as("malformed", listener, datagram)
    assert listener.receive(good, 0) == DATA


def test_datagrams_longer_than_the_limit_are_dropped():
    sixteen = {"suite": PSK_AES_128_CCM}
    listener = make_member(**sixteen)
    assert len(sealed(0, bytes(1195), **sixteen)) == 1232
    assert listener.receive(sealed(0, bytes(1195), **sixteen), 0) == DATA
    dropped_as("malformed", listener, sealed(1, bytes(1196), **sixteen))


def test_records_of_other_epochs_are_dropped():
    listener = make_member(epoch=5)
    for epoch in (1, 4, 6, 65535):
        dropped_as("epoch", listener, sealed(0, epoch=epoch))
    zero = sealed(0, epoch=5)
    zero[3:5] = b"\0\0"
    dropped_as("epoch", listener, zero)


def test_records_of_unknown_senders_are_dropped():
    dropped_as("unknown", make_member(senders=[(B, 0)]), sealed(0))


def test_replays_are_dropped():
    listener = make_member()
    datagram = sealed(7)
    assert listener.receive(datagram, 0) == DATA
    dropped_as("replayed", listener, datagram)
    assert listener.receive(sealed(71), 0) == DATA
    dropped_as("replayed", listener, sealed(6))


def test_forgeries_are_dropped():
    listener = make_member()
    good = sealed(0)
    for at in range(13, len(good)):
        dropped_as("forged", listener, forge(good, at))
    dropped_as("forged", listener, good[:11] + b"\0\x08" + good[13:21])
    assert listener.receive(good, 0) == DATA


def test_own_records_are_dropped():
    sender = make_member(A)
    datagram = seal(sender)
    dropped_as("own", sender, datagram)
    dropped_as("own", sender, datagram)


def test_the_first_record_of_unknown_freshness_is_dropped():
    listener = make_member(senders=[(A, UNKNOWN)])
    dropped_as("first", listener, sealed(5))
    dropped_as("replayed", listener, sealed(5))
    dropped_as("replayed", listener, sealed(4))
    assert listener.receive(sealed(6), 0) == DATA


def test_a_record_is_dropped_if_its_window_cannot_be_stored_and_accepted_later():
    store = RamStore()
    listener = make_member(None, store)
    store.broken = True
    dropped_as("unsaved", listener, sealed(0))
    store.broken = False
    assert listener.receive(sealed(0), 0) == DATA
    dropped_as("replayed", listener, sealed(0))


def test_a_dropped_record_clears_the_last_message():
    listener = make_member()
    assert listener.receive(sealed(0), 0) == DATA
    dropped_as("replayed", listener, sealed(0))


def test_invalid_sends_are_refused():
    raises(UsageError, E_NOT_A_SENDER, make_member().send, b"x", 0)
    sender = make_member(A)
    assert sender.transmit() is None
    raises(UsageError, E_TOO_LONG, sender.send, bytes(1196), 0)
    assert sender.transmit() is None
    sender.send(b"x", 0)
    raises(UsageError, E_NOT_SENT, sender.send, b"y", 0)
    assert sender.transmit()[:11] == b"\x17\xfe\xfd\0\1\1\0\0\0\0\0"
    assert sender.transmit() is None
    assert seal(sender)[10] == 1


def test_messages_are_any_bytes_like_object_and_nothing_else():
    sender, listener = make_member(A), make_member()
    for message in (b"text", bytearray(b"text"), memoryview(b"-text-")[1:5], memoryview(array("H", (0x6574, 0x7478)))):
        datagram = seal(sender, message)
        assert listener.receive(datagram, 0) == DATA
        assert listener.data == bytes(message)
    for message in ("text", 4, [1, 2], None, (116, 101)):
        raises(UsageError, E_NOT_BYTES, sender.send, message, 0)
        assert sender.transmit() is None


def test_a_message_buffer_may_be_changed_after_send():
    sender, listener = make_member(A), make_member()
    message = bytearray(b"text")
    sender.send(message, 0)
    message[0] = 0
    assert listener.receive(sender.transmit(), 0) == DATA
    assert listener.data == b"text"


def test_options_out_of_range_are_refused():
    for name, values in (("reserve_records", (0, -1)), ("remember_records", (0, -1)), ("grace_ms", (-1, 1 << 29))):
        for value in values:
            raises(UsageError, E_OPTION, lambda name=name, value=value: make_member(options={name: value}))
    make_member(options={"reserve_records": 1, "remember_records": 1, "grace_ms": 0})


def test_two_members_with_one_counter_are_detected():
    store = RamStore()
    one = make_member(A, store, options={"reserve_records": 2})
    two = make_member(A, store, fresh=False, options={"reserve_records": 2})
    seal(one)
    raises(StoreError, E_STORE_SHARED, two.send, b"x", 0)
    assert two.transmit() is None


def test_members_of_several_groups_share_a_store():
    store = RamStore()
    one = make_member(A, store)
    two = make_member(B, store)
    three = make_member(A, store, gid=b"\xff\xff\xff\xff", senders=[(A, 0)])
    for _ in range(130):
        for member in (one, two, three):
            seal(member)
    for name in store.values:
        assert len(name) == 13
        assert all(letter in "0123456789abcdefghijklmnopqrstuvwxyz" for letter in name)


def test_writes_to_flash_are_as_rare_as_configured():
    store = RamStore()
    sender = make_member(A, store)
    store.writes = 0
    for _ in range(129):
        seal(sender)
    assert store.writes == 3
    for remember_records, expected in ((1, 64), (16, 4)):
        store = RamStore()
        listener = make_member(None, store, options={"remember_records": remember_records})
        store.writes = 0
        for sequence in range(64):
            assert listener.receive(sealed(sequence), 0) == DATA
        assert store.writes == expected


SENT = "01020304t0001"


def test_a_sender_that_leaves_in_good_order_continues_where_it_stopped():
    """A sensor that wakes for one message uses one number, and not the 64 that it reserves."""
    store = RamStore()
    writes = []
    for wake in range(20):
        sender = make_member(A, store=store, fresh=not wake)
        before = store.writes
        assert seal(sender, b"%d" % wake)[6:11] == wake.to_bytes(5, "big")
        assert store.values[SENT] == (1 << 48) + wake + RESERVE_RECORDS
        sender.close()
        sender.close()
        writes.append(store.writes - before)
        assert store.values[SENT] == (1 << 48) + wake + 1
    assert writes == [2] * 20
    sender = make_member(A, store=store, fresh=False)
    sender.close()
    assert store.values[SENT] == (1 << 48) + 20 and store.writes == before + 2, "nothing was reserved"


def test_reserved_numbers_are_skipped_if_they_cannot_be_returned():
    """The store is broken, or counts for another program; then nothing is returned, and nothing is raised."""
    for broken, held in ((True, 64), (False, 70), (False, 0)):
        store = RamStore()
        sender = make_member(A, store=store)
        seal(sender, b"on")
        store.broken = broken
        store.values[SENT] = (1 << 48) + held
        sender.close()
        assert store.values[SENT] == (1 << 48) + held


def test_a_member_without_memory_is_closed():
    class FullStore(RamStore):
        def put(self, name, value):
            if value == (1 << 48) + 1:
                raise MemoryError
            super().put(name, value)

    sender = make_member(A, store=FullStore())
    keys = keys_of(sender.held(1))
    seal(sender)
    sender.close()
    assert not any(keys) and sender.held(1) is None


def test_whatever_a_store_raises_costs_one_message():
    """An OSError was taken for one of the network: 50 of them ended the group."""

    class OddStore(RamStore):
        error = None

        def get(self, name):
            if self.error:
                raise self.error
            return super().get(name)

    for error in (OSError(5), MemoryError(), ValueError()):
        store = OddStore()
        lamp = make_member(store=store)
        sealed_next = sealed(0, epoch=2)
        lamp.install(make_gsa(epoch=2), 0)
        store.error = error
        dropped_as("unsaved", lamp, sealed(0))
        dropped_as("unsaved", lamp, sealed_next)
        sender = make_member(A)
        sender.counters._store = store
        assert sender.receive(sealed(40), 0) == CLASH
        store.error = None
        assert lamp.receive(sealed_next, 0) == DATA and lamp.held(0).epoch == 2


def test_a_sender_that_knows_of_a_clash_returns_nothing():
    store = RamStore()
    sender = make_member(A, store=store)
    seal(sender)
    assert sender.receive(sealed(40), 0) == CLASH
    sender.close()
    raises(LimitError, E_CLASH, make_member(A, store=store, fresh=False).send, b"on", 0)
    assert store.values[SENT] == (1 << 48) + RESERVE_RECORDS


def test_a_closed_member_overwrites_its_keys_and_refuses_to_work():
    sender = make_member(A)
    keys = keys_of(sender.held(1))
    assert len(keys) == 84 and any(keys)
    datagram = sealed(0, own_id=B)
    sender.close()
    assert not any(keys)
    raises(UsageError, E_CLOSED, sender.send, b"x", 0)
    dropped_as("epoch", sender, datagram)
    assert sender.transmit() is None
    assert sender.deadline() is None
    assert sender.timeout(0) == NONE
    assert sender.forged() == {}
    sender.close()


def test_no_key_appears_in_any_text():
    gsa = make_gsa(own_id=A, key=bytearray(b"SIXTEENBYTESKEY!"))
    member = Member(gsa, RamStore(), 0)
    context = Context(gsa)
    sender = context.senders[A]
    secrets = [gsa.key, bytes(keys_of(member.held(1))[:16])]
    for thing in (gsa, member, context, sender, gsa.senders, UsageError(E_CLOSED)):
        for text in (repr(thing), str(thing)):
            for secret in secrets:
                assert str(bytes(secret))[2:10] not in text
                assert "".join("%02x" % byte for byte in secret[:4]) not in text
