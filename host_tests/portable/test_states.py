# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Each state of a handshake meets each message: it ends in the right alert or a silent drop, and nothing escapes receive()."""

from dtls_pair import connected, drain, give, pair
from lossy_network import Dice
from reasons import E_NOT_BYTES, E_NOT_CONNECTED, E_NOT_SENT, E_TOO_LONG

from dice._compat import MICROPYTHON
from dice.errors import CLOSED, PeerError, UsageError
from dice.limits import TIMER_MS

KINDS = (0, 1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 21, 22, 24, 255)
BODIES = (b"", b"\0", b"\0\0", b"\xfe\xfd" + bytes(32) + b"\0\xc0\xa8\0", b"\xff" * 60)
FUZZ = 60 if MICROPYTHON else 1500

UNEXPECTED, DECODE_ERROR, ILLEGAL, DECRYPT_ERROR = 10, 50, 47, 51
ALLOWED = {UNEXPECTED, DECODE_ERROR, ILLEGAL, DECRYPT_ERROR, 40, 70, 110}

# What is right in a state is all that may go on in it; everything else is unexpected.
EXPECTED = {
    ("client", 0): {2, 3},
    ("client", 1): {12, 14},
    ("client", 2): {14},
    ("client", 3): {4},
    ("client", 4): {20},
    ("server", 0): {1},
    ("server", 1): {16},
    ("server", 2): {20},
}


def record(content_type, body, epoch=0):
    return bytes((content_type, 0xFE, 0xFD, 0, epoch)) + bytes(6) + len(body).to_bytes(2, "big") + body


def message(kind, body, sequence):
    length = len(body).to_bytes(3, "big")
    return record(22, bytes((kind,)) + length + sequence.to_bytes(2, "big") + bytes(3) + length + body)


def in_state(role, state):
    """Return a session whose role is in `state`, by the number that the role gives it."""
    ours, theirs = pair(client={"tickets": True}) if state == 3 else pair()
    if role == "client":
        drain(ours)
        if state:
            ours, theirs = pair()
            give(theirs, drain(ours))
            give(ours, drain(theirs))
            drain(ours)
        ours._handshake._state = state
        return ours
    if state:
        give(theirs, drain(ours))
        drain(theirs)
    if state == 2:
        theirs._handshake._state = 1
        give(theirs, [message(16, b"\0\4node", theirs._reassembly.next)])
        drain(theirs)
    theirs._handshake._state = state
    return theirs


def outcome(session, datagram):
    """Return (alert sent, alert in .error), None for each where there is none."""
    events = give(session, [datagram])
    sent = [data for data in drain(session) if data[0] == 21]
    if CLOSED in events:
        assert len(sent) == 1 and session.error.alert is not None
        assert not session.connected
        return session.error.alert
    assert not sent and events == []
    return None


def test_each_state_with_each_message():
    seen = set()
    for role, state in EXPECTED:
        for kind in KINDS:
            for body in BODIES:
                session = in_state(role, state)
                alert = outcome(session, message(kind, body, session._reassembly.next))
                seen.add(alert)
                if kind == 20 or (kind == 3 and role == "client"):
                    continue  # Finished in plaintext is dropped; HelloVerifyRequest has rules of its own, below
                if kind in EXPECTED[role, state]:
                    assert alert is None or alert in ALLOWED, (role, state, kind, body, alert)
                else:
                    assert alert == UNEXPECTED, (role, state, kind, body, alert)
    assert {None, UNEXPECTED, DECODE_ERROR} <= seen


def test_finished_in_plaintext_is_dropped():
    for role, state in EXPECTED:
        session = in_state(role, state)
        assert outcome(session, message(20, bytes(12), session._reassembly.next)) is None
        assert session.layer.dropped == {"unexpected": 1}


def test_hello_verify_requests_come_to_an_end():
    ours, _ = pair()
    drain(ours)
    alerts = [outcome(ours, message(3, b"\xfe\xff\1" + bytes((cookie,)), 0)) for cookie in range(4)]
    assert alerts == [None, None, None, UNEXPECTED]


def test_other_content_in_each_state():
    for role, state in EXPECTED:
        for content_type in (0, 20, 23, 24, 25, 26, 255):
            for body in (b"", b"\1", bytes(30)):
                for epoch in (0, 1, 2, 255):
                    session = in_state(role, state)
                    give(session, [record(content_type, body, epoch)])
                    assert session.error is None, (role, state, content_type)
                    session.close()


def test_authentic_messages_after_the_handshake():
    """An authentic peer may ask for a renegotiation, which is refused, or say what means nothing; the session goes on."""
    for kind in KINDS:
        for body in (b"", bytes(20)):
            for way in (0, 1):
                ends = connected(client={"cid": None})
                sender, receiver = ends[way], ends[1 - way]
                sender.layer.record_max = 1000
                plain = message(kind, body, 7)[13:]
                assert give(receiver, [sender.layer.seal(22, 1, plain)]) == []
                assert receiver.connected
                told = [sender.layer.open(datagram) for datagram in drain(receiver)]
                assert told == ([(1, 21, b"\1\x64")] if kind <= 1 else []), "a warning: no_renegotiation"


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


def finished(role, end):
    """Return a session after its handshake: connected, closed, or broken by its peer."""
    session = connected()[role == "server"]
    if end == "closed":
        session.close()
    elif end == "broken":
        session._fail(PeerError(80, 52))
    return session


def test_each_state_with_each_call():
    """Only a UsageError comes out of it, and no call makes the next one fail in another way."""
    makers = [lambda role=role, state=state: in_state(role, state) for role, state in EXPECTED]
    makers += [lambda role=role, end=end: finished(role, end) for role in ("client", "server") for end in ("", "closed", "broken")]
    for make in makers:
        for first in CALLS[:: 5 if MICROPYTHON else 1]:
            session = make()
            for call in [first] + CALLS:
                try:
                    call(session)
                except UsageError as error:
                    assert error.reason in (E_NOT_CONNECTED, E_NOT_BYTES, E_NOT_SENT, E_TOO_LONG)
            assert session.deadline() is None or session._handshake or session.connected


def test_where_the_key_has_come_to_its_end():
    """Nothing can be said any more, neither an alert nor the last flight once more; the calls work all the same."""
    for call in (lambda end: end.close(), lambda end: end.transmit(), lambda end: give(end, [end.hello])):
        ours, theirs = connected()
        theirs.hello = ours.layer.seal(22, 1, message(1, b"", 7)[13:])
        theirs._flight.again()
        theirs.layer.end = theirs.layer.next
        call(theirs)
        assert drain(theirs) == []


def test_authentic_rubbish():
    for content_type in (0, 20, 21, 24, 255):
        for body in (b"", b"\1", b"\1\0\0", bytes(40)):
            ours, theirs = connected()
            give(theirs, [ours.layer.seal(content_type, 1, body)])
            assert theirs.connected


def test_random_bytes():
    """Whole rubbish, and rubbish in the place of what a handshake has."""
    dice = Dice(5)
    for _ in range(FUZZ):
        ours, theirs = pair()
        flights = [drain(ours)]
        for session in (theirs, ours, theirs):
            datagrams = []
            for datagram in flights[-1]:
                spoilt = bytearray(datagram)
                for _ in range(dice.roll(3)):
                    spoilt[dice.roll(len(spoilt))] = dice.roll(256)
                datagrams.append(bytes(spoilt[: len(spoilt) - dice.roll(4) * dice.roll(2)]))
            give(session, [dice(dice.roll(80))] + datagrams)
            flights.append(drain(session))
        ours.close()
        theirs.close()
