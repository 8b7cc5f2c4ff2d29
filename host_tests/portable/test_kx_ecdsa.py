# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""ECDHE_ECDSA: each Certificate, signature and point with each fault ends in the right alert."""

import os

from dtls_pair import give
from remembered_curve import Remembered
from rpk_pair import OURS, THEIRS, Ends, alert_of, in_state

from dice.crypto import ecdsa
from dice.dtls.kx_ecdsa import own_point, sha256_of
from dice.dtls.kx_rpk import write_key

FAILURE, UNSUPPORTED, UNKNOWN, ILLEGAL, DECODE_ERROR, DECRYPT_ERROR = 40, 43, 46, 47, 50, 51
CERTIFICATE, SERVER_KEY_EXCHANGE, DONE, VERIFY, CLIENT_KEY_EXCHANGE = 11, 12, 14, 15, 16

# Contents of a SubjectPublicKeyInfo.
HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
RSA_512 = bytes.fromhex("305c300d06092a864886f70d0101010500034b003048024100") + bytes(64) + bytes.fromhex("0203010001")
P_384 = bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004") + bytes(96)


def certificates(point):
    """Yield (what it is, the body of a Certificate, the alert of a client, that of a server that knows everybody)."""
    other = own_point(bytes(31) + b"\3")
    spki = HEAD + point
    whole = (91).to_bytes(3, "big") + spki
    yield "right", whole, None, None
    yield "another key", write_key(other), UNKNOWN, None
    yield "no certificate", b"\0\0\0", UNSUPPORTED, FAILURE
    yield "truncated", whole[:-1], DECODE_ERROR, DECODE_ERROR
    yield "something behind it", whole + b"\0", DECODE_ERROR, DECODE_ERROR
    yield "a byte less", (90).to_bytes(3, "big") + spki[:-1], UNSUPPORTED, UNSUPPORTED
    yield "a byte more", (92).to_bytes(3, "big") + spki + b"\0", UNSUPPORTED, UNSUPPORTED
    yield "the length of another", (92).to_bytes(3, "big") + spki, DECODE_ERROR, DECODE_ERROR
    yield "X.509", (94).to_bytes(3, "big") + whole, UNSUPPORTED, UNSUPPORTED
    for name, key in (("RSA", RSA_512), ("P-384", P_384)):
        yield name, len(key).to_bytes(3, "big") + key, UNSUPPORTED, UNSUPPORTED
    compressed = HEAD[:1] + b"\x39" + HEAD[2:24] + b"\x22\0" + bytes((2 + point[-1] % 2,)) + point[1:33]
    yield "compressed", len(compressed).to_bytes(3, "big") + compressed, UNSUPPORTED, UNSUPPORTED
    yield "hybrid", write_key(point)[:29] + bytes((6 + point[-1] % 2,)) + point[1:], UNSUPPORTED, UNSUPPORTED
    yield "infinity", whole[:29] + bytes(65), UNSUPPORTED, UNSUPPORTED
    for at in (1, 3, 10, 15, 23, 25):  # in the header
        yield "byte %d" % at, whole[: 3 + at] + bytes((spki[at] ^ 1,)) + whole[4 + at :], UNSUPPORTED, UNSUPPORTED


def test_each_wrong_certificate_gives_the_right_alert():
    with Remembered():
        for role, private in (("client", THEIRS), ("server", OURS)):
            for name, body, of_client, of_server in certificates(own_point(private)):
                session, _ = in_state(role, 1)
                alert = alert_of(session, CERTIFICATE, body)
                assert alert == (of_client if role == "client" else of_server), (role, name, alert)


def test_a_point_off_the_curve_proves_nothing_although_it_is_known():
    """A client whose `servers` has such a point, or a server whose `find` takes it, gets decrypt_error: no signature verifies."""
    bad = own_point(OURS)[:-1] + b"\0"
    with Remembered():
        session, _ = in_state("server", 1)
        assert alert_of(session, CERTIFICATE, write_key(bad)) is None
        flight = Ends().messages("server")
        give(session, flight[2:3])
        assert alert_of(session, VERIFY, flight[3][25:]) == DECRYPT_ERROR


def signed(private, digest, algorithm=b"\4\3", change=None):
    """Return a Signature of a digest."""
    signature = ecdsa.sign(private, digest, os.urandom)
    signature = change(signature) if change else signature
    return algorithm + len(signature).to_bytes(2, "big") + signature


def flipped(data, at):
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


# (what it is, how a Signature is made of private key and digest, the alert)
SIGNATURES = (
    ("right", lambda private, digest: signed(private, digest), None),
    ("of another key", lambda private, digest: signed(bytes(31) + b"\3", digest), DECRYPT_ERROR),
    ("of another digest", lambda private, digest: signed(private, flipped(digest, 0)), DECRYPT_ERROR),
    ("of a digest with another end", lambda private, digest: signed(private, flipped(digest, 31)), DECRYPT_ERROR),
    ("flipped in r", lambda private, digest: signed(private, digest, change=lambda der: flipped(der, 20)), DECRYPT_ERROR),
    ("flipped in s", lambda private, digest: signed(private, digest, change=lambda der: flipped(der, len(der) - 1)), DECRYPT_ERROR),
    ("no DER", lambda private, digest: signed(private, digest, change=lambda der: bytes(70)), DECRYPT_ERROR),
    ("trailing byte in it", lambda private, digest: signed(private, digest, change=lambda der: der + b"\0"), DECRYPT_ERROR),
    ("empty", lambda private, digest: b"\4\3\0\0", DECRYPT_ERROR),
    ("zeros", lambda private, digest: b"\4\3\0\x08\x30\x06\2\1\0\2\1\0", DECRYPT_ERROR),
    ("ones", lambda private, digest: b"\4\3\0\x08\x30\x06\2\1\1\2\1\1", DECRYPT_ERROR),
    ("SHA-1", lambda private, digest: signed(private, digest, b"\2\3"), ILLEGAL),
    ("SHA-384", lambda private, digest: signed(private, digest, b"\5\3"), ILLEGAL),
    ("RSA", lambda private, digest: signed(private, digest, b"\4\1"), ILLEGAL),
    ("Ed25519", lambda private, digest: signed(private, digest, b"\x08\x07"), ILLEGAL),
    ("truncated", lambda private, digest: signed(private, digest)[:-1], DECODE_ERROR),
    ("something behind it", lambda private, digest: signed(private, digest) + b"\0", DECODE_ERROR),
    ("missing", lambda private, digest: b"", DECODE_ERROR),
)


def test_each_wrong_signature_of_a_server_gives_the_right_alert():
    """It covers both randoms and the parameters (RFC 8422, section 5.4)."""
    with Remembered():
        params = b"\3\0\x17\x41" + own_point(bytes(31) + b"\2")
        for name, make, expected in SIGNATURES:
            session, _ = in_state("client", 2)
            body = params + make(THEIRS, sha256_of(session._handshake.secrets.randoms + params))
            alert = alert_of(session, SERVER_KEY_EXCHANGE, body)
            assert alert == expected, (name, alert)
        session, _ = in_state("client", 2)
        randoms = session._handshake.secrets.randoms
        for data in (params, randoms[:32] + params, randoms[32:] + params, randoms[32:] + randoms[:32] + params, randoms):
            session, _ = in_state("client", 2)
            assert alert_of(session, SERVER_KEY_EXCHANGE, params + signed(THEIRS, sha256_of(data))) == DECRYPT_ERROR


def test_parameters_of_a_server_that_are_signed_but_wrong_give_the_right_alert():
    with Remembered():
        point = own_point(bytes(31) + b"\2")
        wrong = (b"\3\0\x18\x41" + point, b"\3\0\x1d\x20" + point[:32], b"\3\0\x17\x21\2" + point[1:33], b"\1\0\x17\x41" + point)
        for params in wrong:
            session, _ = in_state("client", 2)
            body = params + signed(THEIRS, sha256_of(session._handshake.secrets.randoms + params))
            assert alert_of(session, SERVER_KEY_EXCHANGE, body) == ILLEGAL, params
        session, _ = in_state("client", 2)  # off the curve: found out when it is used
        params = b"\3\0\x17\x41" + point[:-1] + bytes((point[-1] ^ 1,))
        body = params + signed(THEIRS, sha256_of(session._handshake.secrets.randoms + params))
        assert alert_of(session, SERVER_KEY_EXCHANGE, body) is None
        assert alert_of(session, DONE, b"") == ILLEGAL


def test_each_wrong_signature_of_a_client_gives_the_right_alert():
    """It covers all messages until ClientKeyExchange (RFC 5246, section 7.4.8)."""
    with Remembered():
        for name, make, expected in SIGNATURES:
            session, _ = in_state("server", 3)
            body = make(OURS, session._handshake.session_hash)
            alert = alert_of(session, VERIFY, body)
            assert alert == expected, (name, alert)


def test_a_point_of_a_client_that_is_wrong_gives_the_right_alert():
    with Remembered():
        point = own_point(bytes(31) + b"\2")
        off = point[:-1] + bytes((point[-1] ^ 1,))
        compressed = bytes((33, 2 + point[-1] % 2)) + point[1:33]
        for body in (b"\x41" + off, b"\x41\6" + point[1:], compressed, b"\1\0", b"\x41" + bytes(65), b"\x41\4" + bytes(64)):
            session, _ = in_state("server", 2)
            assert alert_of(session, CLIENT_KEY_EXCHANGE, body) == ILLEGAL, body
