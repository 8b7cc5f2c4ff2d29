# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Peers that have all keys of the handshake but break its rules, and compute Finished over what they have really sent: messages
left out, repeated, in another order, without contents, of another handshake, with signatures of others. None gets a session, unless
what it has sent is a handshake of the other side's (see `harmless`), and each ends in an alert.
"""

import itertools
import os

import pytest

import dice
from dice.codes import (
    HANDSHAKE_CERTIFICATE,
    HANDSHAKE_CERTIFICATE_REQUEST,
    HANDSHAKE_CERTIFICATE_VERIFY,
    HANDSHAKE_CLIENT_KEY_EXCHANGE,
    HANDSHAKE_SERVER_KEY_EXCHANGE,
)
from dice.dtls.client import Client
from dice.dtls.record_layer import RecordLayer
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.limits import ALERT_WAIT_MS
from dice.x509.chain import Trust
from host_tests.certificates import NOW, Authority
from host_tests.portable.dtls_pair import IDENTITY, KEY, settle

ROOT = Authority("root")
SERVER, CLIENT = ROOT.issue("dns:node.test", usage="server"), ROOT.issue("dns:lamp.test", usage="client")
TRUST = Trust([ROOT.der])
KINDS = ("rpk", "certificate", "ecdhe_psk", "psk")


def clock():
    return NOW


def credentials(kind, asks=True):
    """Return the credentials of a client and of a server."""
    if kind == "rpk":
        server = dice.RawPublicKeyServer(SERVER.key.private, CLIENT.key.identity.__eq__ if asks else None)
        return dice.RawPublicKey(CLIENT.key.private, [SERVER.key.point]), server
    if kind == "certificate":
        server = dice.CertificateServer(SERVER.key.private, SERVER.chain, TRUST if asks else None, clock=clock)
        return dice.Certificate(CLIENT.key.private, CLIENT.chain, TRUST, "node.test", clock=clock), server
    if kind == "ecdhe_psk":
        return dice.EcdhePsk(IDENTITY, KEY), dice.EcdhePskLookup({IDENTITY: KEY}.get)
    return dice.Psk(IDENTITY, KEY), dice.PskLookup({IDENTITY: KEY}.get)


def rogue(role, change):
    """Make a role change the messages that its key exchange gives it: change([(kind, body), ...]) of one call."""
    put_all = role._put_all
    role._put_all = lambda messages: put_all(change([(kind, bytes(body)) for kind, body in messages]))
    return role


def meet(kind, change, is_client, asks=True):
    """Let a rogue client or server meet an honest other side; return (the honest session, the rogue one)."""
    ours, theirs = credentials(kind, asks)
    client, server = Client(ours, os.urandom), Server(theirs, os.urandom)
    rogue(client if is_client else server, change)
    sessions = [Session(role, RecordLayer(), 0) for role in (client, server)]
    settle(*sessions)
    settle(*sessions, ALERT_WAIT_MS)
    return sessions[::-1] if is_client else sessions


def check_refused(honest, what):
    """Assert that the honest side has no session, and that its alert is one of these, if it has sent one."""
    assert not honest.connected, what
    assert honest.error is None or honest.error.alert in (10, 40, 42, 43, 46, 47, 48, 50, 51), (what, honest.error.alert)


def changes():
    """Yield (what, change of a list of messages, whether it leaves the list as it is)."""
    for index in range(3):
        yield f"without {index}", lambda messages, i=index: messages[:i] + messages[i + 1 :]
        yield f"{index} twice", lambda messages, i=index: messages[: i + 1] + messages[i:]
        yield (
            f"{index} empty",
            lambda messages, i=index: [(kind, b"" if at == i else body) for at, (kind, body) in enumerate(messages)],
        )
        for kind in (0, 2, 3, 4, 11, 12, 13, 14, 15, 16, 20, 22, 99):
            yield (
                f"{index} as {kind}",
                lambda messages, i=index, other=kind: [
                    (other if at == i else kind, body) for at, (kind, body) in enumerate(messages)
                ],
            )
            yield f"{kind} before {index}", lambda messages, i=index, other=kind: messages[:i] + [(other, b"\0\0\0")] + messages[i:]
    for order in itertools.permutations(range(3)):
        yield f"order {order}", lambda messages, o=order: [messages[at] for at in o if at < len(messages)] + messages[3:]
    yield "nothing", lambda messages: []
    yield "backwards", lambda messages: messages[::-1]


def harmless(kind, messages, is_client, honest):
    """Return whether the honest side cannot be harmed by what a rogue one has sent: a whole handshake for it."""
    kinds = [message[0] for message in messages]
    if is_client:
        return False
    # A client proves its key only if it is asked to, and ignores a hint of a pre-shared key.
    if kind in ("rpk", "certificate"):
        return kinds == [HANDSHAKE_CERTIFICATE, HANDSHAKE_SERVER_KEY_EXCHANGE] and honest.connected
    return kind == "psk" and not kinds


@pytest.mark.parametrize("is_client", [True, False], ids=["client", "server"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_peer_that_breaks_the_order_gets_no_session(kind, is_client):
    tried = 0
    for what, change in changes():
        sent, same = [], []

        def spy(messages, change=change, sent=sent, same=same):
            changed = change(messages)
            sent.extend(changed)
            same.append(changed == messages)
            return changed

        honest, _ = meet(kind, spy, is_client)
        if all(same):
            assert honest.connected, what
        elif not harmless(kind, sent, is_client, honest):
            check_refused(honest, (what, [message[0] for message in sent]))
            tried += 1
    assert tried > 30


@pytest.mark.parametrize("kind", ["rpk", "certificate"])
def test_a_client_that_proves_nothing_is_refused_by_a_server_that_asks(kind):
    """Also one that sends no certificate, an empty one, one without CertificateVerify, or that of somebody else with its own."""
    left_out = {
        "no certificate": {HANDSHAKE_CERTIFICATE},
        "no proof": {HANDSHAKE_CERTIFICATE_VERIFY},
        "neither": {HANDSHAKE_CERTIFICATE, HANDSHAKE_CERTIFICATE_VERIFY},
    }
    for what, kinds in left_out.items():
        honest, _ = meet(kind, lambda messages, kinds=kinds: [each for each in messages if each[0] not in kinds], True)
        check_refused(honest, what)
        assert honest.identity is None and honest.error and honest.error.alert == 10
    empty = [(HANDSHAKE_CERTIFICATE, b"\0\0\0")]

    def emptied(messages):
        return [
            empty[0] if each[0] == HANDSHAKE_CERTIFICATE else each for each in messages if each[0] != HANDSHAKE_CERTIFICATE_VERIFY
        ]

    check_refused(meet(kind, emptied, True)[0], "an empty certificate")


@pytest.mark.parametrize("kind", ["rpk", "certificate"])
def test_what_was_signed_in_another_handshake_proves_nothing_in_this_one(kind):
    for is_client, message in ((True, HANDSHAKE_CERTIFICATE_VERIFY), (False, HANDSHAKE_SERVER_KEY_EXCHANGE)):
        recorded = {}
        honest, _ = meet(kind, lambda messages, recorded=recorded: recorded.update(messages) or messages, is_client)
        assert honest.connected and message in recorded

        def replay(messages, recorded=recorded, message=message):
            return [(each, recorded[each] if each == message else body) for each, body in messages]

        honest, _ = meet(kind, replay, is_client)
        check_refused(honest, message)
        assert honest.error.alert == 51


@pytest.mark.parametrize("kind", ["rpk", "certificate"])
def test_a_server_that_asks_for_nothing_gets_no_proof_and_no_certificate(kind):
    """Nobody can make a client sign what it is not asked for in order, nor twice."""
    request = (HANDSHAKE_CERTIFICATE_REQUEST, b"\1\x40\0\2\4\3\0\0")
    for position, alert in ((0, 10), (1, 10), (3, 10)):
        honest, _ = meet(kind, lambda messages, at=position: messages[:at] + [request] + messages[at:], False)
        check_refused(honest, position)
        assert honest.error.alert == alert
    sent = []
    ours, theirs = credentials(kind, False)
    client = rogue(Client(ours, os.urandom), lambda messages: sent.extend(messages) or messages)
    sessions = Session(client, RecordLayer(), 0), Session(Server(theirs, os.urandom), RecordLayer(), 0)
    settle(*sessions)
    assert sessions[0].connected and [each[0] for each in sent] == [HANDSHAKE_CLIENT_KEY_EXCHANGE]
