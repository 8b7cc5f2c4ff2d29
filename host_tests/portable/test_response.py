# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Answers to group messages: the key depends on listener and sender (draft-tiloca-dice-secure-groupcomm-00)."""

from support import A, B, RamStore, forge, make_gsa, make_member, raises, seal

from dice import record
from dice.crypto.hmac import p_sha256
from dice.errors import DATA, FormatError, UsageError
from dice.group.gsa import D00, DERIVE_SHARED, decode
from dice.group.gsa_encode import encode
from dice.group.response import PendingRequest, ReceivedRequest
from dice.reasons import E_ANSWERED, E_NO_LISTENER_ID, E_NOT_A_SENDER, E_SENDER_ID
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
    _, _, request = asked(L)
    try:
        request.answer(5)
        raise RuntimeError
    except TypeError:
        pass
    raises(UsageError, E_ANSWERED, request.answer, b"yes")


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
