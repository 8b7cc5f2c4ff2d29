# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys: what both hellos and a CertificateRequest can say, and the alert for what they must not say."""

from dtls_pair import drain, give, settle
from remembered_curve import Remembered
from rpk_pair import OURS, THEIRS, Ends, alert_of, anybody, in_state
from test_states import message

from dice.codes import EXTENSION_CLIENT_CERTIFICATE_TYPE, EXTENSION_SERVER_CERTIFICATE_TYPE, EXTENSION_SIGNATURE_ALGORITHMS
from dice.dtls.extensions import BOTH
from dice.dtls.kx_ecdsa import own_point
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer

FAILURE, UNSUPPORTED, ILLEGAL, DECODE_ERROR = 40, 43, 47, 50
CERTIFICATE_REQUEST, DONE, VERIFY = 13, 14, 15


class Changed(RawPublicKey):
    """A client whose hello has other extensions: {type: data, or None to leave it out}."""

    def __init__(self, changes, private=OURS):
        super().__init__(private, [own_point(THEIRS)])
        kept = [row for row in self.extensions if row[0] not in changes]
        new = [
            (kind, lambda handshake, data=data: data, lambda handshake, data: None, BOTH)
            for kind, data in changes.items()
            if data is not None
        ]
        self.extensions = tuple(kept + new)


SIGS, CLIENT_TYPE, SERVER_TYPE = (
    EXTENSION_SIGNATURE_ALGORITHMS,
    EXTENSION_CLIENT_CERTIFICATE_TYPE,
    EXTENSION_SERVER_CERTIFICATE_TYPE,
)
# (extensions of the hello of a client, the alert of a server that asks for a key, that of one that does not)
HELLOS = (
    ({}, None, None),
    ({SIGS: None}, FAILURE, FAILURE),
    ({SIGS: b"\0\2\4\1"}, FAILURE, FAILURE),
    ({SIGS: b"\0\2\2\3"}, FAILURE, FAILURE),
    ({SIGS: b"\0\0"}, FAILURE, FAILURE),
    ({SIGS: b"\0\6\2\3\4\1\4\3"}, None, None),
    ({SIGS: b"\0\6\4\3\2\3\4\1"}, None, None),
    ({SIGS: b"\0\3\4\3\0"}, DECODE_ERROR, DECODE_ERROR),
    ({SIGS: b"\0\2\4\3\0"}, DECODE_ERROR, DECODE_ERROR),
    ({SIGS: b""}, DECODE_ERROR, DECODE_ERROR),
    ({SERVER_TYPE: None}, UNSUPPORTED, UNSUPPORTED),
    ({SERVER_TYPE: b"\1\0"}, UNSUPPORTED, UNSUPPORTED),
    ({SERVER_TYPE: b"\1\1"}, UNSUPPORTED, UNSUPPORTED),
    ({SERVER_TYPE: b"\0"}, UNSUPPORTED, UNSUPPORTED),
    ({SERVER_TYPE: b"\3\0\1\2"}, None, None),
    ({SERVER_TYPE: b"\2\2"}, DECODE_ERROR, DECODE_ERROR),
    ({SERVER_TYPE: b"\1\2\0"}, DECODE_ERROR, DECODE_ERROR),
    ({SERVER_TYPE: b""}, DECODE_ERROR, DECODE_ERROR),
    ({CLIENT_TYPE: None}, UNSUPPORTED, None),
    ({CLIENT_TYPE: b"\1\0"}, UNSUPPORTED, None),
    ({CLIENT_TYPE: b"\2\0\2"}, None, None),
    ({CLIENT_TYPE: b"\2\2"}, DECODE_ERROR, DECODE_ERROR),
)


def test_each_hello_of_a_client_gives_the_right_alert():
    with Remembered():
        for changes, *alerts in HELLOS:
            for asks, expected in zip((True, False), alerts):
                ends = Ends(asks=asks, client=Changed(changes))
                settle(ends.client, ends.server)
                alert = ends.server.error.alert if ends.server.error else None
                assert alert == expected, (changes, asks, alert)
                assert ends.server.connected == ends.client.connected == (expected is None)


class Answering(RawPublicKeyServer):
    """A server that answers with other types of certificates."""

    def __init__(self, changes, find=anybody):
        super().__init__(THEIRS, find)
        kept = [row for row in self.extensions if row[0] not in changes]
        new = [(kind, lambda handshake, data=data: data, lambda *_: None, BOTH) for kind, data in changes.items()]
        self.extensions = tuple(kept + new)


def test_each_answer_of_a_server_gives_the_right_alert():
    with Remembered():
        for changes, expected in (
            ({SERVER_TYPE: None}, UNSUPPORTED),  # X.509
            ({SERVER_TYPE: b"\0"}, ILLEGAL),
            ({SERVER_TYPE: b"\1\2"}, ILLEGAL),
            ({SERVER_TYPE: b""}, ILLEGAL),
            ({CLIENT_TYPE: b"\0"}, ILLEGAL),
            ({SIGS: b"\0\2\4\3"}, None),  # it must not be there; ignored
        ):
            ends = Ends(server=Answering(changes))
            settle(ends.client, ends.server)
            assert (ends.client.error.alert if ends.client.error else None) == expected, changes


def test_a_client_shows_no_key_to_a_server_that_cannot_read_it():
    """It shows an empty list (RFC 5246, section 7.4.6), also if it has no key; what comes of it is the server's decision."""
    with Remembered():
        ends = Ends(server=Answering({CLIENT_TYPE: None}))
        settle(ends.client, ends.server)
        assert ends.server.error.alert == FAILURE and not ends.client.connected
        for request in (b"\1\1\0\2\4\3\0\0", b"\1\x40\0\2\4\1\0\0", b"\0\0\0\0\0"):
            session, _ = in_state("client", 3)
            assert alert_of(session, CERTIFICATE_REQUEST, request) is None
            give(session, [message(DONE, b"", session._reassembly.next)])
            flight = drain(session)
            assert flight[0][13:28] == b"\x0b\0\0\3\0\1\0\0\0\0\0\3\0\0\0"
            assert bytes((VERIFY, 0)) not in [bytes(record[13:15]) for record in flight]
        for request in (b"\2\x40\1\0\4\4\1\4\3\0\0", b"\1\x40\0\2\4\3\0\5hello"):
            session, _ = in_state("client", 3)
            assert alert_of(session, CERTIFICATE_REQUEST, request) is None
        for request in (b"\1\x40\0\3\4\3\0\0\0", b"\1\x40\0\2\4\3\0\0\0", b"\1\x40\0\2\4\3", b"\1\x40\0\2\4\3\0\1"):
            session, _ = in_state("client", 3)
            assert alert_of(session, CERTIFICATE_REQUEST, request) == DECODE_ERROR
