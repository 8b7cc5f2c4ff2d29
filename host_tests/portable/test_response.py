# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Answers to group messages: the key depends on listener and sender (draft-tiloca-dice-secure-groupcomm-00)."""

from array import array

from support import A, B, RamStore, forge, make_gsa, make_member, raises, seal

from dice import record
from dice.crypto.hmac import p_sha256
from dice.errors import CLASH, DATA, NONE, FormatError, LimitError, StoreError, UsageError
from dice.group.gsa import D00, DERIVE_SHARED, UNKNOWN, decode
from dice.group.gsa_encode import encode
from dice.group.response import PendingRequest, ReceivedRequest
from dice.limits import ANSWER_RAM_BYTES, ANSWERS_MAX_BYTES, DATAGRAM_MAX_BYTES
from dice.reasons import (
    E_ANSWERED,
    E_CLASH,
    E_COUNTER_LOST,
    E_NO_LISTENER_ID,
    E_NOT_A_SENDER,
    E_NOT_BYTES,
    E_SENDER_ID,
    E_STORE_READ,
    E_STORE_WRITE,
    E_TOO_LONG,
)
from dice.suites import PSK_AES_128_CCM_8, SUITES

L, M = 200, 201  # ListenerIDs


def received(member, **changes):
    """Let a member receive a request; return (sender, the request as a datagram, the ReceivedRequest)."""
    sender = make_member(own_id=A, **changes)
    datagram = seal(sender, b"lit?")
    assert member.receive(datagram, 0) == DATA and member.data == b"lit?"
    return sender, datagram, ReceivedRequest(member)


def asked(listener, **changes):
    """Return (sender, the request as a datagram, the ReceivedRequest of a listener with this id)."""
    return received(make_member(own_id=listener, **changes), **changes)


def test_an_answer_is_received_by_its_request():
    sender, datagram, request = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = request.answer(b"yes")
    assert len(answer) == 29 + 3
    assert pending.receive(answer) == L
    assert pending.answers == {L: b"yes"} and pending.dropped == 0


def test_the_key_and_the_header_of_an_answer_are_as_documented():
    _, _, request = asked(L)
    answer = request.answer(b"yes")
    assert record.well_formed(answer)
    assert answer[:11] == b"\x17\xfe\xfd\0\1" + bytes((L,)) + bytes(5)
    key = p_sha256(bytes(range(16)), b"dice sender key" + b"\1\2\3\4" + b"\0\1" + b"\0\1", 20)
    key = p_sha256(key, b"dice response key" + b"\0\1" + b"\0\1" + b"\0\xc8", 20)
    assert record.open(SUITES[PSK_AES_128_CCM_8].cipher, key[:16], key[16:], answer) == b"yes"


def test_a_sender_can_answer_too():
    sender, datagram, request = asked(B)
    pending = PendingRequest(sender, datagram)
    assert pending.receive(request.answer(b"yes")) == B


def test_answers_work_with_every_layout_derivation_and_suite():
    for changes in ({"layout": D00}, {"derive": DERIVE_SHARED}, {"suite": 0xC0A4}):
        sender, datagram, request = asked(L, **changes)
        pending = PendingRequest(sender, datagram)
        assert pending.receive(request.answer(b"yes")) == L, changes


def test_a_message_can_be_answered_only_once_even_after_a_reboot():
    store = RamStore()
    sender = make_member(own_id=A)
    datagram = seal(sender)
    member = make_member(own_id=L, store=store)
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)
    assert member.receive(datagram, 0) == DATA
    request = ReceivedRequest(member)
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)
    request.answer(b"yes")
    raises(UsageError, E_ANSWERED, request.answer, b"no")
    member = make_member(own_id=L, store=store, fresh=False)  # after a power failure
    assert member.receive(datagram, 0) != DATA
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)


def test_an_answer_that_failed_to_seal_cannot_be_repeated():
    store = RamStore()
    _, _, request = received(make_member(own_id=L, store=store))
    store.unreadable = True
    raises(StoreError, E_STORE_READ, request.answer, b"no")
    store.unreadable = False
    raises(UsageError, E_ANSWERED, request.answer, b"yes")


def test_an_answer_has_the_bounds_of_a_message():
    sender, datagram, request = asked(L)
    raises(UsageError, E_TOO_LONG, request.answer, bytes(1196))
    for data in (5, "yes", None, [1]):
        raises(UsageError, E_NOT_BYTES, request.answer, data)
    pending = PendingRequest(sender, datagram)
    answer = request.answer(memoryview(bytes(1195)))
    assert len(answer) == 1224 <= DATAGRAM_MAX_BYTES and pending.receive(answer) == L
    for wide in (array("H", [1, 2]), bytearray(b"yes")):
        sender, datagram, request = asked(L, gid=bytes(wide)[:1] * 4)
        pending = PendingRequest(sender, datagram)
        assert pending.receive(request.answer(memoryview(wide))) == L and pending.answers[L] == bytes(memoryview(wide))


def test_answers_of_all_ids_that_one_member_forges_take_bounded_memory():
    listener = make_member(own_id=L, layout=D00)
    sender, datagram, request = received(listener, layout=D00)
    pending = PendingRequest(sender, datagram)
    number = request._number
    for listener_id in range(1000, 3000):
        listener.held(1).id = listener_id
        request._number = number
        pending.receive(request.answer(bytes(1000)))
        if pending.dropped:
            break
    taken = len(pending.answers) * (1000 + ANSWER_RAM_BYTES)
    assert ANSWERS_MAX_BYTES * 9 // 10 < taken < 16 * ANSWERS_MAX_BYTES
    listener.held(1).id = 5
    request._number = number
    assert pending.receive(request.answer(b"")) is not None  # a short one may still fit


def lost_counter(own_id):
    """Return (store, sender, two requests) of a device that has answered both, and lost the counter of the sender."""
    store = RamStore()
    sender = make_member(own_id=A)
    requests = [seal(sender, b"1"), seal(sender, b"2")]
    member = make_member(own_id=own_id, store=store)
    for request in requests:
        assert member.receive(request, 0) == DATA
        ReceivedRequest(member).answer(b"yes")
    del store.values["01020304r%04x" % A]
    return store, sender, requests


def test_a_device_that_lost_a_counter_does_not_answer_until_the_next_epoch():
    """It receives the second request once more, because it cannot know, and an answer would repeat a nonce."""
    for own_id in (L, B):
        store, sender, requests = lost_counter(own_id)
        member = make_member(own_id=own_id, store=store, fresh=False)
        assert [member.receive(request, 0) for request in requests] == [NONE, DATA]
        raises(StoreError, E_COUNTER_LOST, ReceivedRequest(member).answer, b"no")
        for _ in range(2):  # now the counter is there again
            member = make_member(own_id=own_id, store=store, fresh=False)
            for _ in range(3):
                request = seal(sender)
                if member.receive(request, 0) == DATA:
                    raises(StoreError, E_COUNTER_LOST, ReceivedRequest(member).answer, b"no")
        if own_id == B:
            assert seal(member), "a sender that lost the counter of another one cannot send"
        sender.install(make_gsa(own_id=A, epoch=2, key=bytearray(b"k" * 16)), 0)
        sender.activate(0)
        member.install(make_gsa(own_id=own_id, epoch=2, key=bytearray(b"k" * 16)), 0)
        assert member.receive(seal(sender, b"3"), 0) == DATA
        assert ReceivedRequest(member).answer(b"yes")
        member.close()
        member = make_member(own_id=own_id, store=store, epoch=2, key=bytearray(b"k" * 16), fresh=False)
        assert member.receive(seal(sender, b"4"), 0) == DATA
        assert ReceivedRequest(member).answer(b"yes")


def test_the_previous_epoch_is_not_answered_in_the_grace_period_after_a_counter_was_lost():
    """Neither in the epoch of the loss, nor if only the counters of the next epoch were lost: the store knows one epoch."""
    for lost_in in (1, 2):
        store, sender, _ = lost_counter(L)
        store = store if lost_in == 1 else RamStore()
        member = make_member(own_id=L, store=store, fresh=lost_in == 2)
        member.receive(seal(sender), 0)
        assert member.receive(seal(sender), 0) == DATA
        request = ReceivedRequest(member)
        member.install(make_gsa(own_id=L, epoch=2, key=bytearray(b"k" * 16), fresh=lost_in == 1), 0)
        member.activate(0)
        raises(StoreError, E_COUNTER_LOST, request.answer, b"no")


def test_a_device_that_joined_late_answers_also_after_a_reboot():
    """That the number of a sender was unknown from the beginning is stored, so it differs from a counter that was lost."""
    for boots in range(3):
        store = RamStore()
        member = make_member(own_id=L, store=store, senders=[(A, UNKNOWN), (B, UNKNOWN)])
        for _ in range(boots):
            member = make_member(own_id=L, store=store, senders=[(A, UNKNOWN), (B, UNKNOWN)], fresh=False)
        sender = make_member(own_id=A)
        assert member.receive(seal(sender), 0) == NONE and member.dropped == {"first": 1}
        for _ in range(2):
            assert member.receive(seal(sender), 0) == DATA
            assert ReceivedRequest(member).answer(b"yes")
            member = make_member(own_id=L, store=store, senders=[(A, UNKNOWN), (B, UNKNOWN)], fresh=False)


def test_the_loss_is_stored_before_anything_is_received():
    store, _, requests = lost_counter(L)
    store.broken = True
    raises(StoreError, E_STORE_WRITE, lambda: make_member(own_id=L, store=store, fresh=False))
    store.broken = False
    member = make_member(own_id=L, store=store, fresh=False)
    assert store.values["01020304a0000"] == 1 << 48 and "01020304r0001" not in store.values
    assert member.receive(requests[0], 0) == NONE


def test_a_device_that_knows_of_a_clash_does_not_answer():
    """Nor after a reboot. Of two devices with one id, both would answer one request under one key and one nonce."""
    store = RamStore()
    member = make_member(own_id=B, store=store)
    other = make_member(own_id=B)
    sender, _, request = received(member)
    assert member.receive(seal(other), 0) == CLASH
    raises(LimitError, E_CLASH, request.answer, b"yes")
    member = make_member(own_id=B, store=store, fresh=False)
    assert member.receive(seal(sender), 0) == DATA
    raises(LimitError, E_CLASH, ReceivedRequest(member).answer, b"yes")


def test_forged_replayed_and_unrelated_answers_are_dropped():
    sender, datagram, request = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = request.answer(b"yes")
    other = PendingRequest(sender, seal(sender, b"another"))
    for at in range(len(answer)):
        assert pending.receive(forge(answer, at)) is None, at
    for noise in (b"", bytes(12), bytes(40), datagram, answer[:-1], bytes(answer) + b"\0"):
        assert pending.receive(noise) is None
    assert pending.answers == {}
    assert other.receive(answer) is None  # the request of another message
    assert pending.receive(answer) == L
    assert pending.receive(answer) is None  # a replay
    assert pending.answers == {L: b"yes"}


def test_an_answer_is_not_accepted_as_a_group_message():
    _, _, request = asked(B)
    answer = request.answer(b"on")
    listener = make_member(own_id=M)
    assert listener.receive(answer, 0) != DATA
    assert listener.dropped == {"forged": 1}
    assert make_member(own_id=M).receive(asked(L)[2].answer(b"on"), 0) != DATA


def test_an_answer_to_another_sender_is_dropped():
    _, _, request = asked(L)
    answer = request.answer(b"yes")
    other = make_member(own_id=B)
    pending = PendingRequest(other, seal(other))  # with the same sequence number
    assert pending.receive(answer) is None


def test_a_listener_without_a_listener_id_cannot_answer():
    raises(UsageError, E_NO_LISTENER_ID, asked(None)[2].answer, b"yes")


def test_a_listener_can_send_neither_messages_nor_requests():
    member = make_member(own_id=L)
    raises(UsageError, E_NOT_A_SENDER, member.send, b"on", 0)
    request = seal(make_member(own_id=A))
    raises(UsageError, E_NOT_A_SENDER, PendingRequest, member, request)
    raises(UsageError, E_NOT_A_SENDER, PendingRequest, make_member(own_id=A, epoch=2), request)


def test_a_closed_member_can_neither_answer_nor_receive_answers():
    sender, datagram, request = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = request.answer(b"yes")
    sender.close()
    assert pending.receive(answer) is None
    member = make_member(own_id=L)
    _, _, request = received(member)
    member.close()
    raises(UsageError, E_ANSWERED, request.answer, b"yes")


def test_a_request_of_the_previous_epoch_is_answered_in_the_grace_period():
    listener = make_member(own_id=L)
    sender, datagram, request = received(listener)
    pending = PendingRequest(sender, datagram)
    for member, own in ((sender, A), (listener, L)):
        member.install(make_gsa(own_id=own, epoch=2, key=bytearray(b"k" * 16)), 0)
        member.activate(0)
    assert pending.receive(request.answer(b"yes")) == L


def test_a_listener_id_round_trips_and_its_range_is_checked():
    gsa = decode(encode(make_gsa(own_id=L)))
    assert gsa.own_id == L
    raises(FormatError, E_SENDER_ID, lambda: encode(make_gsa(own_id=256)))
    raises(FormatError, E_SENDER_ID, lambda: encode(make_gsa(own_id=L, own_next=1)))
    assert make_gsa(own_id=0xFFFF, layout=D00).own_id == 0xFFFF
