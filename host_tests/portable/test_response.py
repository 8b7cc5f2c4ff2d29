# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Answers to group messages, each with the key of its pair of listener and sender: draft-tiloca-dice-secure-groupcomm-00."""

from support import A, B, RamStore, forge, make_gsa, make_member, raises, seal

from dice import record
from dice.crypto.hmac import p_sha256
from dice.errors import DATA, FormatError, UsageError
from dice.group.gsa import D00, DERIVE_SHARED, decode
from dice.group.gsa_encode import encode
from dice.group.response import PendingRequest, ReceivedRequest
from dice.reasons import E_ANSWERED, E_NO_LISTENER_ID, E_NOT_A_SENDER, E_SENDER_ID

L, M = 200, 201  # ListenerIDs


def asked(listener, **changes):
    """Return (sender, the message as it travels, a ReceivedRequest of a listener of that id)."""
    sender = make_member(own_id=A, **changes)
    datagram = seal(sender, b"lit?")
    member = make_member(own_id=listener, **changes)
    assert member.receive(datagram, 0) == DATA and member.data == b"lit?"
    return sender, datagram, ReceivedRequest(member)


def test_an_answer():
    sender, datagram, question = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = question.answer(b"yes")
    assert len(answer) == 29 + 3
    assert pending.receive(answer) == L
    assert pending.answers == {L: b"yes"} and pending.dropped == 0


def test_the_key_and_the_header_are_as_documented():
    _, _, question = asked(L)
    answer = question.answer(b"yes")
    assert record.well_formed(answer)
    assert answer[:11] == b"\x17\xfe\xfd\0\1" + bytes((L,)) + bytes(5)
    key = p_sha256(bytes(range(16)), b"dice sender key" + b"\1\2\3\4" + b"\0\1" + b"\0\1", 20)
    key = p_sha256(key, b"dice response key" + b"\0\1" + b"\0\1" + b"\0\xc8", 20)
    assert record.open(key[:16], key[16:], 8, answer) == b"yes"


def test_a_sender_answers_too():
    sender, datagram, question = asked(B)
    pending = PendingRequest(sender, datagram)
    assert pending.receive(question.answer(b"yes")) == B


def test_every_layout_and_derivation():
    for changes in ({"layout": D00}, {"derive": DERIVE_SHARED}, {"suite": 0xC0A4}):
        sender, datagram, question = asked(L, **changes)
        pending = PendingRequest(sender, datagram)
        assert pending.receive(question.answer(b"yes")) == L, changes


def test_one_answer_to_a_message():
    store = RamStore()
    sender = make_member(own_id=A)
    datagram = seal(sender)
    member = make_member(own_id=L, store=store)
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)
    assert member.receive(datagram, 0) == DATA
    question = ReceivedRequest(member)
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)
    question.answer(b"yes")
    raises(UsageError, E_ANSWERED, question.answer, b"no")
    member = make_member(own_id=L, store=store, fresh=False)  # after a power failure
    assert member.receive(datagram, 0) != DATA
    raises(UsageError, E_ANSWERED, ReceivedRequest, member)


def test_an_answer_that_could_not_be_sealed_is_given():
    _, _, question = asked(L)
    try:
        question.answer(5)
        raise RuntimeError
    except TypeError:
        pass
    raises(UsageError, E_ANSWERED, question.answer, b"yes")


def test_answers_that_are_none():
    sender, datagram, question = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = question.answer(b"yes")
    other = PendingRequest(sender, seal(sender, b"another"))
    for at in range(len(answer)):
        assert pending.receive(forge(answer, at)) is None, at
    for noise in (b"", bytes(12), bytes(40), datagram, answer[:-1], bytes(answer) + b"\0"):
        assert pending.receive(noise) is None
    assert pending.answers == {}
    assert other.receive(answer) is None  # an answer to another message
    assert pending.receive(answer) == L
    assert pending.receive(answer) is None  # played again
    assert pending.answers == {L: b"yes"}


def test_an_answer_is_no_group_message():
    _, _, question = asked(B)
    answer = question.answer(b"on")
    listener = make_member(own_id=M)
    assert listener.receive(answer, 0) != DATA
    assert listener.dropped == {"forged": 1}
    assert make_member(own_id=M).receive(asked(L)[2].answer(b"on"), 0) != DATA


def test_an_answer_to_another_sender_is_none():
    _, _, question = asked(L)
    answer = question.answer(b"yes")
    other = make_member(own_id=B)
    pending = PendingRequest(other, seal(other))  # with the same sequence number
    assert pending.receive(answer) is None


def test_a_listener_without_an_id_does_not_answer():
    raises(UsageError, E_NO_LISTENER_ID, asked(None)[2].answer, b"yes")


def test_a_listener_does_not_send():
    member = make_member(own_id=L)
    raises(UsageError, E_NOT_A_SENDER, member.send, b"on", 0)
    raises(UsageError, E_NOT_A_SENDER, PendingRequest, member, seal(make_member(own_id=A)))


def test_after_the_epoch():
    sender, datagram, question = asked(L)
    pending = PendingRequest(sender, datagram)
    answer = question.answer(b"yes")
    sender.close()
    assert pending.receive(answer) is None
    sender, datagram, question = asked(L)
    question._member.close()
    raises(UsageError, E_ANSWERED, question.answer, b"yes")


def test_the_previous_epoch_while_it_is_held():
    sender, datagram, question = asked(L)
    pending = PendingRequest(sender, datagram)
    for member in (sender, question._member):
        own = A if member is sender else L
        member.install(make_gsa(own_id=own, epoch=2, key=bytearray(b"k" * 16)), 0)
        member.activate(0)
    assert pending.receive(question.answer(b"yes")) == L


def test_a_gsa_with_a_listener_id():
    gsa = decode(encode(make_gsa(own_id=L)))
    assert gsa.own_id == L
    raises(FormatError, E_SENDER_ID, lambda: encode(make_gsa(own_id=256)))
    raises(FormatError, E_SENDER_ID, lambda: encode(make_gsa(own_id=L, own_next=1)))
    assert make_gsa(own_id=0xFFFF, layout=D00).own_id == 0xFFFF
