# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every state of a handshake receives every message: a correct alert or a silent drop, and no exception leaves receive()."""

import os

from dtls_pair import connected, drain, give, pair, settle
from lossy_network import SeededRandom

from dice._compat import MICROPYTHON
from dice.dtls.resumption import Tickets
from dice.errors import CLOSED, PeerError, UsageError
from dice.limits import TIMER_MS
from dice.reasons import E_NOT_BYTES, E_NOT_CONNECTED, E_NOT_SENT, E_TOO_LONG

KINDS = (0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 21, 22, 24, 255)
BODIES = (b"", b"\0", b"\0\0", b"\xfe\xfd" + bytes(32) + b"\0\xc0\xa8\0", b"\xff" * 60)
FUZZ = 60 if MICROPYTHON else 1500

UNEXPECTED, DECODE_ERROR, ILLEGAL, DECRYPT_ERROR = 10, 50, 47, 51
WELL_FORMED = {2: BODIES[3], 12: b"\0\0", 14: b"", 16: b"\0\0"}  # those of BODIES that are well-formed, by message type

# The messages that are expected in each state. All others are unexpected.
EXPECTED = {
    ("client", 0): {2, 3},
    ("client", 1): {12, 14},
    ("client", 2): {14},  # a ServerKeyExchange was received: for the role the same state, for its key exchange another
    ("client", 3): {4},
    ("client", 4): {20},
    ("server", 0): {1},
    ("server", 1): {16},
    ("server", 2): {20},
}
ROLE_STATES = (0, 1, 1, 2, 3)  # of a client


def record(content_type, body, epoch=0):
    return bytes((content_type, 0xFE, 0xFD, 0, epoch)) + bytes(6) + len(body).to_bytes(2, "big") + body


def message(kind, body, sequence):
    length = len(body).to_bytes(3, "big")
    return record(22, bytes((kind,)) + length + sequence.to_bytes(2, "big") + bytes(3) + length + body)


def plaintext(datagrams):
    """Return the plaintext handshake messages of datagrams, each as a record of its own."""
    found = []
    for datagram in datagrams:
        while datagram[3:5] == b"\0\0" and datagram[0] == 22:
            size = 13 + int.from_bytes(datagram[11:13], "big")
            rest, datagram = datagram[13:size], datagram[size:] or bytes(5)
            while rest:
                end = 12 + int.from_bytes(rest[9:12], "big")
                found.append(record(22, rest[:end]))
                rest = rest[end:]
    return found


def in_state(role, state):
    """Return (session, its peer). The session has reached `state` of its role through the messages of the peer."""
    tickets = {"tickets": (Tickets(os.urandom, 1 << 28, 0), 0)} if state == 3 else {}
    ours, theirs = pair(client={"tickets": bool(tickets)}, server=tickets)
    give(theirs, drain(ours))
    if role == "server":
        if not state:
            return pair()[1], ours
        give(ours, drain(theirs))
        flight = drain(ours)
        if state == 2:
            give(theirs, plaintext(flight)[:1])
        session, peer = theirs, ours
    else:
        session, peer = ours, theirs
        if not state:
            return session, peer
        hello, done = plaintext(drain(theirs))
        give(session, [hello])
        if state == 2:
            give(session, [message(12, b"\0\0", session._reassembly.next)])
        elif state > 2:
            give(session, [done])
            give(peer, drain(session))
            drain(peer)
    assert session._handshake._state == (ROLE_STATES[state] if role == "client" else state)
    return session, peer


def outcome(session, datagram):
    """Return the alert that the datagram causes (sent and in .error), or None."""
    events = give(session, [datagram])
    sent = [data for data in drain(session) if data[0] == 21]
    if CLOSED in events:
        assert len(sent) == 1 and session.error.alert is not None
        assert not session.connected
        return session.error.alert
    assert not sent and events == []
    return None


def expected_alert(role, state, kind, body):
    """Return the alert that a plaintext message must cause, or None."""
    if role == "client" and kind == 0:
        return None  # the handshake that a HelloRequest asks for is already in progress
    if kind not in EXPECTED[role, state]:
        return UNEXPECTED
    if WELL_FORMED.get(kind) == body:
        return None
    return ILLEGAL if kind == 14 else DECODE_ERROR


def test_each_state_with_each_plaintext_message_gives_the_right_alert():
    for role, state in EXPECTED:
        for kind in KINDS:
            if kind == 20 or (kind == 3 and role == "client"):
                continue  # see the tests of Finished in plaintext and of HelloVerifyRequest below
            for body in BODIES:
                session, _ = in_state(role, state)
                alert = outcome(session, message(kind, body, session._reassembly.next))
                assert alert == expected_alert(role, state, kind, body), (role, state, kind, body, alert)


def test_each_state_with_each_authentic_message_gives_the_right_alert():
    """The peer seals them once it has keys. Finished is read when it is expected; all others are dropped before it."""
    kept = finished = dropped = 0
    for role, state in EXPECTED:
        for kind in KINDS:
            for body in (b"", bytes(12), bytes(20)):
                session, peer = in_state(role, state)
                if not peer.layer.epoch:
                    continue
                plain = message(kind, body, session._reassembly.next)[13:]
                alert = outcome(session, peer.layer.seal(22, 1, plain))
                if not session.layer.epoch and not session.error:
                    assert alert is None and len(session._early) == 1  # kept until there are keys
                    kept += 1
                elif kind == 20:
                    assert alert == (DECRYPT_ERROR if 20 in EXPECTED[role, state] else UNEXPECTED), (role, state, alert)
                    finished += 1
                else:
                    assert alert is None and session.layer.dropped == {"unexpected": 1}, (role, state, kind)
                    dropped += 1
    assert kept and finished and dropped, (kept, finished, dropped)


def test_a_hello_request_does_not_disturb_a_handshake():
    """It is not part of the transcript (RFC 5246, section 7.4.1.1), so the Finished messages of both sides verify."""
    ours, theirs = pair()
    theirs._handshake.next_send = 1  # after a HelloRequest
    assert give(ours, [message(0, b"", 0)]) == []
    settle(ours, theirs)
    assert ours.connected and theirs.connected


def test_a_late_hello_verify_request_is_refused_or_ignored():
    """It is answered or refused while nothing else has arrived, and ignored after that."""
    for role, state in EXPECTED:
        if role == "client" and state:
            session, _ = in_state(role, state)
            assert outcome(session, message(3, b"\xfe\xff\1c", 0)) == (UNEXPECTED if state == 1 else None)


def test_a_plaintext_finished_is_dropped():
    for role, state in EXPECTED:
        session, _ = in_state(role, state)
        assert outcome(session, message(20, bytes(12), session._reassembly.next)) is None
        assert session.layer.dropped == {"unexpected": 1}


def test_only_three_hello_verify_requests_are_answered():
    ours, _ = pair()
    drain(ours)
    alerts = [outcome(ours, message(3, b"\xfe\xff\1" + bytes((cookie,)), 0)) for cookie in range(4)]
    assert alerts == [None, None, None, UNEXPECTED]


def test_records_of_other_content_types_and_epochs_are_ignored_in_each_state():
    for role, state in EXPECTED:
        for content_type in (0, 20, 23, 24, 25, 26, 255):
            for body in (b"", b"\1", bytes(30)):
                for epoch in (0, 1, 2, 255):
                    session, _ = in_state(role, state)
                    give(session, [record(content_type, body, epoch)])
                    assert session.error is None, (role, state, content_type)
                    session.close()


def test_handshake_messages_after_the_handshake_do_not_end_the_session():
    """An authentic peer may ask for a renegotiation, which is refused, or send a message without meaning."""
    for kind in KINDS:
        for body in (b"", bytes(20)):
            for way in (0, 1):
                ends = connected(client={"cid": None})
                sender, receiver = ends[way], ends[1 - way]
                sender.layer.record_max = 1000
                plain = message(kind, body, 7)[13:]
                assert give(receiver, [sender.layer.seal(22, 1, plain)]) == []
                assert receiver.connected
                alerts = [sender.layer.open(datagram) for datagram in drain(receiver)]
                assert alerts == ([(1, 21, b"\1\x64")] if kind <= 1 else []), "not a warning no_renegotiation"


CALLS = [
    lambda session: session.transmit(),
    lambda session: session.deadline(),
    lambda session: session.receive(b"", 0),
    lambda session: session.receive(b"\0", -1),
    lambda session: session.send(b"", 0),
    lambda session: session.send("text", 0),
    lambda session: session.send(bytes(5000), 0),
    lambda session: session.data_max(),
    lambda session: session.export(b"label", 0),
    lambda session: session.export(b"", 40, b""),
    lambda session: session.resumption(),
    lambda session: session.give_up(),
    lambda session: session.close(),
    lambda session: session.abandon(),
]
CALLS += [lambda session, now=now: session.timeout(now) for now in (0, 1, TIMER_MS, (1 << 29) - 1, 1 << 29, (1 << 30) - 1, -1)]


def ended_session(role, end):
    """Return a session after its handshake: connected, closed, or ended by a fatal alert."""
    session = connected()[role == "server"]
    if end == "closed":
        session.close()
    elif end == "broken":
        session._fail(PeerError(80, 52))
    return session


def test_each_state_with_each_call_raises_only_usage_errors():
    """No call puts the session into a state in which the next call fails in another way."""
    makers = [lambda role=role, state=state: in_state(role, state)[0] for role, state in EXPECTED]
    makers += [
        lambda role=role, end=end: ended_session(role, end) for role in ("client", "server") for end in ("", "closed", "broken")
    ]
    for make in makers:
        for first in CALLS[:: 5 if MICROPYTHON else 1]:
            session = make()
            for call in [first] + CALLS:
                try:
                    call(session)
                except UsageError as error:
                    assert error.reason in (E_NOT_CONNECTED, E_NOT_BYTES, E_NOT_SENT, E_TOO_LONG)
            assert session.deadline() is None or session._handshake or session.connected


def test_calls_work_although_the_sequence_numbers_are_exhausted():
    """Nothing can be sent any more, neither an alert nor the last flight. The calls still return."""
    for call in (lambda end: end.close(), lambda end: end.transmit(), lambda end: give(end, [end.hello])):
        ours, theirs = connected()
        theirs.hello = ours.layer.seal(22, 1, message(1, b"", 7)[13:])
        theirs._flight.restart()
        theirs.layer.epochs[1].end = theirs.layer.epochs[1].next
        call(theirs)
        assert drain(theirs) == []


def test_authentic_records_of_unknown_content_do_not_end_the_session():
    for content_type in (0, 20, 21, 24, 255):
        for body in (b"", b"\1", b"\1\0\0", bytes(40)):
            ours, theirs = connected()
            give(theirs, [ours.layer.seal(content_type, 1, body)])
            assert theirs.connected


def test_random_bytes_raise_no_exception():
    """Random datagrams, and random changes to handshake messages."""
    random = SeededRandom(5)
    for _ in range(FUZZ):
        ours, theirs = pair()
        flights = [drain(ours)]
        for session in (theirs, ours, theirs):
            datagrams = []
            for datagram in flights[-1]:
                spoilt = bytearray(datagram)
                for _ in range(random.roll(3)):
                    spoilt[random.roll(len(spoilt))] = random.roll(256)
                datagrams.append(bytes(spoilt[: len(spoilt) - random.roll(4) * random.roll(2)]))
            give(session, [random(random.roll(80))] + datagrams)
            flights.append(drain(session))
        ours.close()
        theirs.close()
