# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys: each state with each message, each message with each fault, and a client that is not known any more."""

from dtls_pair import drain, give, pair, settle
from lossy_network import SeededRandom
from remembered_curve import Remembered
from rpk_pair import OURS, THEIRS, Ends, alert_of, anybody, in_state, no_one, randoms
from support import raises
from test_states import BODIES, KINDS, message

from dice._compat import MICROPYTHON
from dice.dtls.client import Client
from dice.dtls.kx_ecdsa import ECDHE_ECDSA_AES_128_CCM, ECDHE_ECDSA_AES_128_CCM_8, own_point, sha256_of
from dice.dtls.kx_rpk import RawPublicKey, write_key
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import UsageError
from dice.limits import CREDENTIAL_CHECK_MS, TICKET_PERIOD_MS
from dice.reasons import E_OPTION

RANDOM = SeededRandom(9)  # os.urandom of the emulated board always returns the same bytes
UNEXPECTED, FAILURE, UNSUPPORTED, UNKNOWN, ILLEGAL, DECODE_ERROR, DECRYPT_ERROR = 10, 40, 43, 46, 47, 50, 51
CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, DONE, VERIFY, CLIENT_KEY_EXCHANGE = 11, 12, 13, 14, 15, 16

_EACH = 11 if MICROPYTHON else 1  # of all states and messages, MicroPython tries one in so many

# (role, whether the server asks for a key of the client, messages received): the messages that are expected then.
EXPECTED = {
    ("client", True, 0): {2, 3},
    ("client", True, 1): {CERTIFICATE},
    ("client", True, 2): {SERVER_KEY_EXCHANGE},
    ("client", True, 3): {CERTIFICATE_REQUEST, DONE},
    ("client", True, 4): {DONE},
    ("client", True, 5): {20},
    ("server", True, 0): {1},
    ("server", True, 1): {CERTIFICATE},
    ("server", True, 2): {CLIENT_KEY_EXCHANGE},
    ("server", True, 3): {VERIFY},
    ("server", True, 4): {20},
    ("server", False, 1): {CLIENT_KEY_EXCHANGE},
    ("server", False, 2): {20},
}


def expected_alert(role, asks, count, kind, body):
    """Return the alert that a plaintext message must cause, or None."""
    if role == "client" and kind == 0:
        return None
    if kind == DONE and role == "client" and count in (1, 2) and not body:
        return UNEXPECTED  # a message before it is missing
    if kind == DONE and role == "client" and 0 < count < 5 and body:
        return ILLEGAL
    if kind not in EXPECTED[role, asks, count]:
        return UNEXPECTED
    if kind == SERVER_KEY_EXCHANGE and body:
        return ILLEGAL
    if kind == CERTIFICATE and body == b"\0\0\0":
        return UNSUPPORTED if role == "client" else FAILURE
    if kind == DONE or (kind == 2 and body == BODIES[3]):
        return None if kind == DONE else ILLEGAL  # a suite that was not offered
    return DECODE_ERROR


def test_each_state_with_each_plaintext_message_gives_the_right_alert():
    bodies = BODIES + (b"\0\0\0",)
    number = 0
    with Remembered():
        for role, asks, count in EXPECTED:
            for kind in KINDS:
                if kind == 20 or (kind == 3 and role == "client"):
                    continue  # a Finished in plaintext is dropped; for HelloVerifyRequest see test_states
                for body in bodies:
                    number += 1
                    if number % _EACH:
                        continue
                    session, _ = in_state(role, count, asks=asks)
                    alert = alert_of(session, kind, body)
                    assert alert == expected_alert(role, asks, count, kind, body), (role, asks, count, kind, body, alert)


def test_a_session_needs_all_messages_in_order():
    """Any two neighbours swapped, any one left out or repeated with the number of the next: never a session, no exception."""
    with Remembered():
        for role in ("client", "server"):
            right = Ends().messages(role)
            for change in range(3):
                for i in range(len(right) - (change == 0)):
                    wrong = [record[25:] for record in right]
                    kinds = [record[13] for record in right]
                    order = list(range(len(right)))
                    if change == 0:
                        order[i : i + 2] = [i + 1, i]
                    else:
                        order[i : i + 1] = [i, i] if change == 1 else []
                    if change == 1 and kinds[i] == 1:
                        continue
                    session, _ = in_state(role, 0)
                    first = session._reassembly.next
                    give(session, [message(kinds[at], wrong[at], first + n) for n, at in enumerate(order)])
                    assert not session.connected and not (session._handshake and session._handshake.connected)
                    assert session.error or (change == 2 and kinds[i] in (CERTIFICATE_REQUEST, kinds[-1])), (role, change, i)


def test_both_suites_with_and_without_a_key_of_the_client():
    with Remembered():
        for suite in (ECDHE_ECDSA_AES_128_CCM, ECDHE_ECDSA_AES_128_CCM_8):
            for asks in (True, False):
                server = RawPublicKeyServer(THEIRS, anybody if asks else None)
                client = RawPublicKey(OURS if asks else None, [own_point(OURS), server.point])
                client.suites = (suite,)
                ours, theirs = pair(psk=client, lookup=server, randoms=randoms())
                settle(ours, theirs)
                assert ours.connected and theirs.connected and ours.suite == theirs.suite == suite
                assert ours.identity == sha256_of(write_key(server.point)[3:]) and len(write_key(server.point)) == 94
                assert theirs.identity == (sha256_of(write_key(client.point)[3:]) if asks else b"")
                ours.send(b"up", 0)
                assert give(theirs, drain(ours)) == [b"up"]
                theirs.send(b"down", 0)
                assert give(ours, drain(theirs)) == [b"down"]


def test_options_that_cannot_work_are_refused():
    point = own_point(OURS)
    for private in (b"", bytes(32), b"\xff" * 32, bytes(31), 5):
        raises(UsageError, E_OPTION, RawPublicKeyServer, private)
        if private:
            raises(UsageError, E_OPTION, RawPublicKey, private, [point])
    for servers in ((), [b""], [point[:64]], [point[:33]], [point[:31]], [point + b"\0"], [bytes(65)], point):
        raises(UsageError, E_OPTION, RawPublicKey, OURS, servers)


def test_a_client_that_knows_the_hash_of_its_server_trusts_no_other():
    server = RawPublicKeyServer(THEIRS)
    known = sha256_of(write_key(server.point)[3:])
    for trusted, alert in (([known], None), ([own_point(OURS), known], None), ([bytes(32), own_point(OURS)], UNKNOWN)):
        with Remembered():
            ends = Ends(client=RawPublicKey(None, trusted), server=server)
            settle(ends.client, ends.server)
        assert (ends.client.connected, ends.client.error and ends.client.error.alert) == (alert is None, alert)


def test_a_server_that_does_not_know_a_client_says_so():
    for find in (no_one, lambda identity: 0, lambda identity: 1 // 0):
        server = RawPublicKeyServer(THEIRS, find)
        with Remembered():
            ends = Ends(server=server)
            settle(ends.client, ends.server)
            assert ends.server.error.alert == UNKNOWN and not ends.client.connected
        assert server.errors == isinstance(server.error, ZeroDivisionError)


def test_a_client_without_a_key_is_refused_by_a_server_that_wants_one():
    with Remembered():
        ends = Ends(private=None)
        settle(ends.client, ends.server)
        assert ends.server.error.alert == UNSUPPORTED and not ends.server.connected


def test_one_who_shows_the_key_of_another_gets_no_session():
    """The public key is not secret: only the signature counts."""
    with Remembered():
        thief = RawPublicKey(bytes(31) + b"\5", [own_point(THEIRS)])
        thief.point = own_point(OURS)
        ends = Ends(client=thief)
        settle(ends.client, ends.server)
        assert ends.server.error.alert == DECRYPT_ERROR and not ends.server.connected and ends.server.identity is None
        impostor = RawPublicKeyServer(bytes(31) + b"\5", anybody)
        impostor.point = own_point(THEIRS)
        ends = Ends(client=RawPublicKey(OURS, [own_point(THEIRS)]), server=impostor)
        settle(ends.client, ends.server)
        assert ends.client.error.alert == DECRYPT_ERROR and not ends.client.connected


def test_private_keys_of_a_handshake_are_overwritten_and_none_is_shown():
    with Remembered():
        ends = Ends()
        shown = repr(ends.psk) + repr(ends.lookup) + str(ends.psk)
        assert OURS.hex() not in shown and repr(OURS) not in shown


def step(server, session, now=0, sizes=None):
    """Exchange what both sides have to send, a few times; append the lengths of datagrams to `sizes`."""
    sizes = [] if sizes is None else sizes
    for _ in range(6):
        for datagram in drain(session):
            sizes.append(len(datagram))
            server.receive(datagram, b"a", now)
        while server.receive(b"", b"a", now)[0]:
            pass
        sent = server.transmit()
        while sent:
            sizes.append(len(sent[0]))
            give(session, [bytes(sent[0])], now)
            sent = server.transmit()


def test_a_handshake_has_six_datagrams():
    """Both sides prove their keys, after a cookie, without connection ids. A signature has at most 72 bytes, mostly 70 or 71."""
    with Remembered():
        ends = Ends()
        server = Listener(ends.lookup, RANDOM, 0, lambda address: address)
        client = Session(Client(ends.psk, RANDOM, cid=None), RecordLayer(), 0)
        sizes = []
        step(server, client, 0, sizes)
        assert client.connected and len(sizes) == 6 and sum(sizes) <= 1165, sizes


def test_a_client_that_is_not_known_any_more_resumes_nothing_and_its_session_ends():
    with Remembered():
        for asks in (True, False):
            for tickets in (False, True):
                known = [sha256_of(write_key(own_point(OURS))[3:])]
                lookup = RawPublicKeyServer(THEIRS, known.count if asks else None)
                random = SeededRandom(9)
                server = Listener(lookup, random, 0, lambda address: address, tickets=Tickets(random, TICKET_PERIOD_MS, 0))
                psk = RawPublicKey(OURS, [lookup.point])

                def connect(resume=None, now=0, psk=psk, tickets=tickets, server=server, random=random):
                    session = Session(Client(psk, random, tickets=tickets, resume=resume), RecordLayer(), now)
                    step(server, session, now)
                    return session

                resume = connect().resumption()
                assert connect(resume).resumed and len(server.sessions) == 1
                assert server.sessions[0].session.identity == (known[0] if asks else b"")
                known.clear()
                server.timeout(CREDENTIAL_CHECK_MS)
                assert len(server.sessions) == (0 if asks else 1)
                again = connect(resume, CREDENTIAL_CHECK_MS)
                assert again.connected == again.resumed == (not asks)


def test_a_look_up_that_fails_ends_no_session_and_begins_none():
    fails = []

    def find(identity):
        return 1 // (not fails)

    with Remembered():
        lookup = RawPublicKeyServer(THEIRS, find)
        server = Listener(lookup, RANDOM, 0, lambda address: address, tickets=Tickets(RANDOM, TICKET_PERIOD_MS, 0))
        psk = RawPublicKey(OURS, [lookup.point])
        session = Session(Client(psk, RANDOM), RecordLayer(), 0)
        step(server, session)
        fails.append(True)
        server.timeout(CREDENTIAL_CHECK_MS)
        assert session.connected and len(server.sessions) == 1 and lookup.errors
        again = Session(Client(psk, RANDOM, resume=session.resumption()), RecordLayer(), CREDENTIAL_CHECK_MS)
        step(server, again, CREDENTIAL_CHECK_MS)
        assert not again.connected and len(server.sessions) == 1


def test_a_client_that_is_expelled_during_its_handshake_is_not_connected():
    """The look-up is asked again when Finished verifies."""
    answers = [True, False]
    with Remembered():
        ends = Ends(server=RawPublicKeyServer(THEIRS, lambda identity: answers.pop(0)))
        settle(ends.client, ends.server)
        assert not answers and ends.server.error.alert == DECRYPT_ERROR and not ends.client.connected
