# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ECDHE on P-256: what the other side can send wrong ends in the right alert, private keys are overwritten, floods cost nothing.

On MicroPython, where an operation takes long, most handshakes have the same keys (see remembered_curve).
"""

import os

from dtls_pair import IDENTITY, KEY, drain, give, pair, settle
from lossy_network import SeededRandom
from remembered_curve import Remembered
from test_listener import exchange, transmitted
from test_states import BODIES, KINDS, message, outcome, plaintext

from dice._compat import MICROPYTHON
from dice.crypto import curve
from dice.dtls import ecdhe
from dice.dtls.client import Client
from dice.dtls.kx_ecdhe_psk import ECDHE_PSK_AES_128_CCM, ECDHE_PSK_AES_128_CCM_8, EcdhePsk, premaster
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.errors import CONNECTED, FormatError, PeerError
from dice.reasons import E_CURVE
from dice.wire import Reader

UNEXPECTED, HANDSHAKE_FAILURE, ILLEGAL, DECODE_ERROR, DECRYPT_ERROR = 10, 40, 47, 50, 51
# The base point of P-256 (SEC 2, version 2.0, section 2.4.2): the point of the private key 1.
BASE = bytes((4,)) + bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
OFF = BASE[:-1] + b"\xf4"  # not on the curve
POINTS = (  # (an ECPoint, the alert)
    (b"\0", DECODE_ERROR),
    (bytes((65,)) + BASE, None),
    (bytes((65,)) + BASE[:-1], DECODE_ERROR),  # truncated
    (bytes((65,)) + BASE + b"\0", DECODE_ERROR),  # something behind it
    (bytes((64,)) + BASE[:64], ILLEGAL),
    (bytes((66,)) + BASE + b"\0", ILLEGAL),
    (b"\1\0", ILLEGAL),  # infinity
    (bytes((33, 3)) + BASE[1:33], ILLEGAL),  # compressed
    (bytes((65, 7)) + BASE[1:], ILLEGAL),  # hybrid
    (bytes((65,)) + OFF, ILLEGAL),
    (bytes((65, 4)) + bytes(64), ILLEGAL),
    (bytes((65, 4)) + b"\xff" * 64, ILLEGAL),
)
CURVES = (  # (curve type and curve, the alert)
    (b"\3\0\x17", None),
    (b"\3\0\x18", ILLEGAL),  # secp384r1
    (b"\3\0\x1d", ILLEGAL),  # x25519
    (b"\1\0\x17", ILLEGAL),  # explicit_prime
    (b"\2\0\x17", ILLEGAL),  # explicit_char2
    (b"\0\0\x17", ILLEGAL),
    (b"\3\0", DECODE_ERROR),
    (b"", DECODE_ERROR),
)


def ecdhe_pair(**options):
    """Return (client session, server session) as dtls_pair.pair() does, for ECDHE_PSK."""
    if MICROPYTHON:  # see remembered_curve
        options.setdefault("randoms", (SeededRandom(1), SeededRandom(2)))
    return pair(psk=EcdhePsk(IDENTITY, KEY), lookup=EcdhePskLookup({IDENTITY: KEY}.get), **options)


def client_in_wait():
    """Return a client whose hello was answered by a ServerHello, and the ServerHelloDone that comes later."""
    ours, theirs = ecdhe_pair()
    give(theirs, drain(ours))
    hello, _, done = plaintext(drain(theirs))
    give(ours, [hello])
    return ours, done


def test_both_sides_derive_the_same_keys():
    ours, theirs = ecdhe_pair()
    randoms = []
    generate = curve.generate
    curve.generate = lambda random: randoms.append(generate(random)) or randoms[-1]
    try:
        settle(ours, theirs)
    finally:
        curve.generate = generate
    assert ours.suite == theirs.suite == ECDHE_PSK_AES_128_CCM_8 and theirs.identity == IDENTITY
    assert len(randoms) == 2 and randoms[0] != randoms[1]
    ours.send(b"up", 0)
    assert give(theirs, drain(ours)) == [b"up"]


def test_the_premaster_secret_has_the_form_of_rfc_5489():
    assert premaster(b"Z" * 32, b"key") == b"\0\x20" + b"Z" * 32 + b"\0\3key"


def test_the_parameters_have_the_form_of_rfc_8422():
    assert ecdhe.params(BASE) == b"\3\0\x17\x41" + BASE and ecdhe.public(BASE) == b"\x41" + BASE
    reader = Reader(ecdhe.params(BASE) + b"signature")
    assert ecdhe.read_params(reader) == BASE and reader.take(9) == b"signature"


def test_a_client_answers_wrong_parameters_with_the_right_alert():
    with Remembered():
        for named, alert in CURVES:
            session, _ = client_in_wait()
            body = b"\0\0" + named + (bytes((65,)) + BASE if len(named) == 3 else b"")
            assert outcome(session, message(12, body, 1)) == alert, named
        for point, alert in POINTS:
            session, done = client_in_wait()
            found = outcome(session, message(12, b"\0\0\3\0\x17" + point, 1))
            if found is None and alert is not None:  # whether the point is on the curve is known when it is used
                found = outcome(session, done)
            assert found == alert, point
            if alert == ILLEGAL:
                assert session.error.reason == E_CURVE
        session, done = client_in_wait()
        assert outcome(session, message(14, b"", 1)) == UNEXPECTED, "a ServerKeyExchange is missing"
        session, _ = client_in_wait()
        give(session, [message(12, b"\0\0" + ecdhe.params(BASE), 1)])
        assert outcome(session, message(12, b"\0\0" + ecdhe.params(BASE), 2)) == UNEXPECTED, "a second one"


def test_a_server_answers_wrong_points_with_the_right_alert():
    with Remembered():
        for identity in (IDENTITY, b"unknown"):  # the answer does not tell which identities exist
            for point, alert in POINTS:
                ours, theirs = ecdhe_pair()
                give(theirs, drain(ours))
                drain(theirs)
                private = theirs._handshake.exchange
                body = len(identity).to_bytes(2, "big") + identity + point
                assert outcome(theirs, message(16, body, 1)) == alert, point
                if point[1:] in (BASE, OFF):
                    assert private == bytearray(32), "not overwritten"


def test_a_key_for_each_handshake_is_overwritten_after_use():
    used = []
    ecdh = curve.ecdh
    curve.ecdh = lambda private, point: used.append((private, bytes(private))) or ecdh(private, point)
    try:
        for seed in (3, 5):
            settle(*ecdhe_pair(randoms=(SeededRandom(seed), SeededRandom(seed + 1))))
    finally:
        curve.ecdh = ecdh
    assert len(used) == len({before for _, before in used}) == 4
    assert [after for after, _ in used] == [bytearray(32)] * 4


def test_a_client_must_know_the_curve():
    with Remembered():
        groups = {b"\0\2\0\x17": None, b"\0\4\0\x1d\0\x17": None, b"\0\2\0\x18": HANDSHAKE_FAILURE, b"\0\0": HANDSHAKE_FAILURE}
        groups.update({b"\0\3\0\x17\0": DECODE_ERROR, b"\0\2\0\x17\0": DECODE_ERROR, b"": DECODE_ERROR, None: None})
        formats = {b"\1\0": None, b"\2\1\0": None, b"\1\1": ILLEGAL, b"\0": ILLEGAL, b"\1": DECODE_ERROR, None: None}
        for row, cases in enumerate((groups, formats)):
            for data, alert in cases.items():
                ours, theirs = ecdhe_pair()
                rows = list(ecdhe.EXTENSIONS)
                kind, _, read, where = rows[row]
                rows[row] = kind, lambda handshake, data=data: data, read, where
                ours._handshake.credentials.extensions = tuple(rows)
                drain(ours)
                ((_, _, hello),) = ours._handshake.start()
                found = outcome(theirs, message(1, hello[12:], 0)) if alert else give(theirs, [message(1, hello[12:], 0)])
                assert found == alert or (found == [] and plaintext(drain(theirs))), (row, data)


def test_points_that_are_not_on_the_curve_are_refused_by_shared():
    for point in (OFF, bytes((4,)) + bytes(64)):
        private = bytearray(range(1, 33))
        try:
            ecdhe.shared(private, point)
            raise AssertionError
        except PeerError as error:
            assert error.alert == ILLEGAL and private == bytearray(32)
    for broken in (b"", b"\0", b"\x41" + BASE[:-1]):
        try:
            ecdhe.read_public(Reader(broken))
            raise AssertionError
        except FormatError:
            pass


def test_a_flood_of_hellos_costs_no_operation_on_the_curve():
    """A server makes a key for a client that has returned its cookie, and none for a session that is resumed or a repetition."""
    with Remembered():
        made = []
        server = Listener(EcdhePskLookup({IDENTITY: KEY}.get), os.urandom, 0, lambda address: address)
        public, curve.public = curve.public, lambda private: made.append(private) or public(private)
        try:
            hello = drain(Session(Client(EcdhePsk(IDENTITY, KEY), os.urandom), RecordLayer(), 0))[0]
            for number in range(100):
                server.receive(hello, number.to_bytes(2, "big"), 0)
                assert len(transmitted(server)) == 1
            assert made == []
            session = Session(Client(EcdhePsk(IDENTITY, KEY), os.urandom), RecordLayer(), 0)
            give(session, [datagram for datagram, _ in (server.receive(drain(session)[0], b"a", 0), transmitted(server))[1]])
            verified = drain(session)[0]
            for _ in range(20):
                server.receive(verified, b"a", 0)
            assert len(made) == 1
            for datagram, _ in transmitted(server):
                give(session, [datagram])
            assert exchange(session, server, b"a") == [CONNECTED] and len(made) == 2, "one of the server, one of the client"
        finally:
            curve.public = public


def test_wrong_and_unknown_keys_look_the_same():
    with Remembered():
        for psk in (EcdhePsk(IDENTITY, b"another key"), EcdhePsk(b"unknown", KEY)):
            theirs = pair(lookup=EcdhePskLookup({IDENTITY: KEY}.get))[1]
            ours = pair(psk=psk)[0]
            settle(ours, theirs)
            assert not theirs.connected and theirs.error is None and theirs.layer.dropped == {"forged": 1}


def test_each_state_with_each_plaintext_message_gives_the_right_alert():
    """0: nothing was received; 1: the ServerHello; 2: the ServerKeyExchange. A server: nothing; the ClientHello."""
    expected = {("client", 1): {12}, ("client", 2): {14}, ("server", 1): {16}}
    with Remembered():
        for (role, state), kinds in expected.items():
            for kind in KINDS:
                if kind in (0, 3, 20):  # see test_states
                    continue
                for body in BODIES:
                    ours, theirs = ecdhe_pair()
                    give(theirs, drain(ours))
                    sent = plaintext(drain(theirs))
                    if role == "client":
                        give(ours, sent[:state])
                    session = ours if role == "client" else theirs
                    alert = outcome(session, message(kind, body, session._reassembly.next))
                    if kind not in kinds and not (role == "client" and kind == 14 and body):
                        assert alert == UNEXPECTED, (role, state, kind, body, alert)
                    elif kind == 14:
                        assert alert == (ILLEGAL if body else None), (role, state, kind, body, alert)
                    else:
                        assert alert in (DECODE_ERROR, ILLEGAL), (role, state, kind, body, alert)


def test_both_suites_work():
    with Remembered():

        class Ccm(EcdhePsk):
            suites = (ECDHE_PSK_AES_128_CCM,)

        ours, theirs = pair(psk=Ccm(IDENTITY, KEY), lookup=EcdhePskLookup({IDENTITY: KEY}.get))
        settle(ours, theirs)
        assert ours.suite == theirs.suite == ECDHE_PSK_AES_128_CCM
        ours.send(b"up", 0)
        assert give(theirs, drain(ours)) == [b"up"]
