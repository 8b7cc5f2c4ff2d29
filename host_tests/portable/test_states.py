# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Each state of a handshake meets each message: it ends in the right alert or a silent drop, and nothing escapes receive()."""

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
WELL_FORMED = {2: BODIES[3], 12: b"\0\0", 14: b"", 16: b"\0\0"}  # of BODIES, by kind

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


def plaintext(datagrams):
    """Return the handshake messages in plaintext of datagrams, each as a record of its own."""
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
    """Return (session, its peer): the session came into `state`, by the number that its role gives it, by the peer's messages."""
    tickets = {"tickets": (Tickets(lambda count: bytes(range(count)), 1 << 28, 0), 0)} if state == 3 else {}
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
    assert session._handshake._state == state
    return session, peer


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


def right(role, state, kind, body):
    """Return the alert that answers a message in plaintext, or None."""
    if role == "client" and kind == 0:
        return None  # what a HelloRequest asks for is under way
    if kind not in EXPECTED[role, state]:
        return UNEXPECTED
    if WELL_FORMED.get(kind) == body:
        return None
    return ILLEGAL if kind == 14 else DECODE_ERROR


def test_each_state_with_each_message():
    for role, state in EXPECTED:
        for kind in KINDS:
            if kind == 20 or (kind == 3 and role == "client"):
                continue  # Finished in plaintext is dropped; HelloVerifyRequest has rules of its own, both below
            for body in BODIES:
                session, _ = in_state(role, state)
                alert = outcome(session, message(kind, body, session._reassembly.next))
                assert alert == right(role, state, kind, body), (role, state, kind, body, alert)


def test_each_state_with_each_authentic_message():
    """Sealed by the peer, once it has keys: Finished counts where it is due, and nothing else does before it."""
    for role, state in EXPECTED:
        for kind in KINDS:
            for body in (b"", bytes(12), bytes(20)):
                session, peer = in_state(role, state)
                if not peer.layer.window:
                    continue
                plain = message(kind, body, session._reassembly.next)[13:]
                alert = outcome(session, peer.layer.seal(22, 1, plain))
                if not session.layer.window and not session.error:
                    assert alert is None and len(session._early) == 1  # until there are keys
                elif kind == 20:
                    assert alert == (DECRYPT_ERROR if 20 in EXPECTED[role, state] else UNEXPECTED), (role, state, alert)
                else:
                    assert alert is None and session.layer.dropped == {"unexpected": 1}, (role, state, kind)


def test_a_hello_request_does_not_disturb_a_handshake():
    """It is not in the transcript (RFC 5246, section 7.4.1.1): the Finished of both sides fit."""
    ours, theirs = pair()
    theirs._handshake.next_send = 1  # behind a HelloRequest
    assert give(ours, [message(0, b"", 0)]) == []
    settle(ours, theirs)
    assert ours.connected and theirs.connected


def test_hello_verify_requests_at_other_times():
    """While nothing else has come they are answered or refused; after that they mean nothing."""
    for role, state in EXPECTED:
        if role == "client" and state:
            session, _ = in_state(role, state)
            assert outcome(session, message(3, b"\xfe\xff\1c", 0)) == (UNEXPECTED if state == 1 else None)


def test_finished_in_plaintext_is_dropped():
    for role, state in EXPECTED:
        session, _ = in_state(role, state)
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
                    session, _ = in_state(role, state)
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
    makers = [lambda role=role, state=state: in_state(role, state)[0] for role, state in EXPECTED]
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
