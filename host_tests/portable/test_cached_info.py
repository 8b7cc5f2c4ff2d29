# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""cached_info (RFC 7924): a fingerprint replaces a known Certificate, which is verified all the same; a wrong one is harmless."""

import os

from dtls_pair import drain, give, pair, settle
from long_certificates import CERTIFICATE, Long
from lossy_network import SeededRandom
from remembered_curve import Remembered
from rpk_pair import OURS, THEIRS, anybody
from test_listener import exchange
from test_states import plaintext

from dice._compat import MICROPYTHON
from dice.dtls.cached_info import Cached, fingerprint
from dice.dtls.cached_info_server import CachedServer
from dice.dtls.client import Client
from dice.dtls.kx_any import AnyOf
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.kx_rpk import RawPublicKey, write_key
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.resumption import Tickets
from dice.dtls.session import Session
from dice.errors import CONNECTED

ILLEGAL, DECODE_ERROR = 47, 50
RANDOMS = (SeededRandom(1), SeededRandom(2)) if MICROPYTHON else (os.urandom, os.urandom)  # see remembered_curve
# RFC 7924, appendix A: the certificate, and the fingerprint of the message that contains it alone.
CERTIFICATE_OF_RFC = bytes.fromhex(
    "3082022c308201b2a00302010202010d300a06082a8648ce3d040302303e310b3009060355040613024e4c3111300f060355040a1308506f6c617253"
    "534c311c301a06035504031313506f6c617273736c2054657374204543204341301e170d3133303932343135353230345a170d323330393232313535"
    "3230345a3041310b3009060355040613024e4c3111300f060355040a1308506f6c617253534c311f301d06035504031316506f6c617253534c205465"
    "737420436c69656e7420323059301306072a8648ce3d020106082a8648ce3d0301070342000457e5aeb173dfd3acbb93b881ff12aeeee653acce5553"
    "f6340ecc2ee363250bdf98e2f35c603696c0d5181470e57f9fd54b4518e5b06cd55cf8968f8770a3e4c7a3819d30819a30090603551d130402300030"
    "1d0603551d0e041604147a005f8664fce05de511103bb2e63bc4263fcfe2306e0603551d230467306580149d6d202449013f2bcb78b519bc7e24c9db"
    "fb367ca142a440303e310b3009060355040613024e4c3111300f060355040a1308506f6c617253534c311c301a06035504031313506f6c617273736c"
    "2054657374204543204341820900c143e27e6243cce8300a06082a8648ce3d040302036800306502304a650d7b2083a299b9a80ffc8dee8f3dbb704c"
    "9603ac8e7870ddf20ea0b216cb658e1ac93f2c617ef83cefad1cee36200231009df227a6d574b824aee16a3f31a1ca542f08d08dee4f0c61df77787d"
    "b4fdfc4249eee5b26ac2cd2677628e287c9e5745"
)
FINGERPRINT_OF_RFC = bytes.fromhex("086eefb4859adfe977defac494fff6b73033b4ce1f86b8f2a9fc0c6bf98605af")


def certificates(credentials, server):
    """Return (client session, bodies of the Certificates of the server, server session) after a handshake."""
    ours, theirs = pair(psk=credentials, lookup=server, randoms=RANDOMS)
    give(theirs, drain(ours))
    sent = drain(theirs)
    found = [record[25:] for record in plaintext(sent) if record[13] == CERTIFICATE]
    give(ours, sent)
    settle(ours, theirs)
    assert ours.connected == theirs.connected
    return ours, found, theirs


def test_the_fingerprint_is_that_of_the_rfc():
    body = b"\0\2\x33\0\2\x30" + CERTIFICATE_OF_RFC
    assert fingerprint(body) == b"\x20" + FINGERPRINT_OF_RFC


def test_a_known_certificate_is_replaced_by_its_fingerprint():
    server = CachedServer(Long(768, 2048))
    credentials = Cached(Long(256, 2048))
    full = server.certificate()
    session, found, _ = certificates(credentials, server)
    assert session.connected and found == [full] and not credentials.known
    assert credentials.keep(session) and credentials.known == full
    for _ in range(2):
        session, found, _ = certificates(credentials, server)
        assert session.connected and found == [fingerprint(full)] and session.identity == b"768"
        assert not credentials.keep(session) and credentials.known == full
    session, found, _ = certificates(Cached(Long(256, 2048), full), server)
    assert session.connected and found == [fingerprint(full)], "from provisioning"


def test_a_wrong_fingerprint_gets_the_certificate_in_full():
    server = CachedServer(Long(768, 2048))
    credentials = Cached(Long(256, 2048), b"an old one")
    session, found, _ = certificates(credentials, server)
    assert session.connected and found == [server.certificate()]
    assert credentials.keep(session) and credentials.known == server.certificate()


def test_a_server_with_a_new_certificate_sends_it():
    server, long = CachedServer(Long(768, 2048)), Long(768, 2048).certificate()
    assert certificates(Cached(Long(256, 2048), long), server)[1] == [fingerprint(long)]
    server._credentials.size = 512
    session, found, _ = certificates(Cached(Long(256, 2048), long), server)
    assert session.connected and found == [server.certificate()]


def test_sides_without_the_extension_send_in_full():
    full = Long(768, 2048).certificate()
    for credentials, server in (
        (Cached(Long(256, 2048), full), Long(768, 2048)),
        (Long(256, 2048), CachedServer(Long(768, 2048))),
        (Cached(Long(256, 2048)), CachedServer(Long(768, 2048))),
    ):
        session, found, _ = certificates(credentials, server)
        assert session.connected and found == [full]


def test_only_the_certificate_of_a_connected_session_is_kept():
    class Broken(Long):
        def prove(self, handshake):
            return [(15, b"no signature")]

    credentials = Cached(Broken(256, 2048))
    session, _, _ = certificates(credentials, CachedServer(Long(768, 2048)))
    assert not session.connected and not credentials.keep(session) and not credentials.known
    credentials = Cached(Long(256, 2048))
    first, _, _ = certificates(credentials, CachedServer(Long(768, 2048)))
    second, _, _ = certificates(credentials, CachedServer(Long(512, 2048)))
    assert not credentials.keep(first), "the last one was of another session"
    second.close()
    assert not credentials.keep(second) and not credentials.known


def test_a_server_that_answers_what_was_not_asked_is_refused():
    full = Long(768, 2048).certificate()

    class Another(CachedServer):
        def flight(self, handshake):
            return [(kind, b"\x20" + bytes(32) if kind == CERTIFICATE else body) for kind, body in super().flight(handshake)]

    session, _, _ = certificates(Cached(Long(256, 2048), full), Another(Long(768, 2048)))
    assert session.error.alert == ILLEGAL, "not the fingerprint that the client has sent"

    class Full(CachedServer):
        def flight(self, handshake):
            return self._credentials.flight(handshake)

    session, _, _ = certificates(Cached(Long(256, 2048), full), Full(Long(768, 2048)))
    assert session.error.alert == ILLEGAL, "announced, and sent in full"
    for data in (b"", b"\0\0", b"\0\1\2", b"\0\2\1\2", b"\0\1\1\0"):
        server = CachedServer(Long(768, 2048))
        server.extensions = server.extensions[:-1] + ((25, lambda handshake, data=data: data, server.extensions[-1][2], 2),)
        session, _, _ = certificates(Cached(Long(256, 2048), full), server)
        assert session.error.alert == ILLEGAL, data


def test_a_server_reads_what_clients_may_send():
    good = b"\1" + fingerprint(Long(768, 2048).certificate())
    other = b"\1\x20" + bytes(32)
    for objects, alert, known in (
        (good, None, True),
        (other + good, None, True),
        (b"\2" + good[1:] + b"\3\1x" + good, None, True),  # other types
        (b"\2" + good[1:], None, False),
        (b"\1" + b"\x1f" + good[2:33], None, False),
        (b"", DECODE_ERROR, False),
        (b"\1\0", DECODE_ERROR, False),
        (b"\1", DECODE_ERROR, False),
        (good[:-1], DECODE_ERROR, False),
    ):
        credentials = Cached(Long(256, 2048), Long(768, 2048).certificate())
        data = len(objects).to_bytes(2, "big") + objects
        kind, _, read, where = credentials.extensions[-1]
        credentials.extensions = credentials.extensions[:-1] + ((kind, lambda handshake, data=data: data, read, where),)
        session, found, theirs = certificates(credentials, CachedServer(Long(768, 2048)))
        if alert:
            assert theirs.error.alert == alert, objects
        else:
            assert session.connected and (len(found[0]) == 33) == known, objects


def with_cookie(credentials, server):
    """Return (client session, bodies of the Certificates of the server, its hellos) of a handshake with a cookie."""
    listener = Listener(server, RANDOMS[1], 0, lambda address: address)
    session = Session(Client(credentials, RANDOMS[0], cid=None), RecordLayer(), 0)
    hellos, found = [], []
    for _ in range(4):
        sent = drain(session)
        hellos += [record[25:] for record in plaintext(sent) if record[13] == 1]
        for datagram in sent:
            listener.receive(datagram, b"a", 0)
        while listener.receive(b"", b"a", 0)[0]:
            pass
        answers = []
        while not answers or answers[-1]:
            answers.append(listener.transmit())
        answers = [bytes(answer[0]) for answer in answers[:-1]]
        found += [record[25:] for record in plaintext(answers) if record[13] == CERTIFICATE]
        give(session, answers)
    return session, found, hellos


def test_raw_public_keys_are_verified_as_if_they_had_been_sent():
    with Remembered():
        server = CachedServer(RawPublicKeyServer(THEIRS, anybody))
        known = write_key(server.point)
        session, found, _ = with_cookie(Cached(RawPublicKey(OURS, [server.point]), known), server)
        assert session.connected and found == [fingerprint(known)] and len(session.identity) == 32
        stranger = RawPublicKeyServer(OURS, anybody).point
        session, _, _ = with_cookie(Cached(RawPublicKey(OURS, [stranger]), known), server)
        assert session.error.alert == 46, "known, and not trusted any more"


def test_a_short_certificate_is_named_in_the_hello_with_the_cookie_alone():
    """In both it would cost more than it saves. A server without cookies sends it in full."""
    with Remembered():
        server = CachedServer(RawPublicKeyServer(THEIRS, anybody))
        known = write_key(server.point)
        session, found, hellos = with_cookie(Cached(RawPublicKey(OURS, [server.point]), known), server)
        assert session.connected and found == [fingerprint(known)]
        assert [fingerprint(known) in hello for hello in hellos] == [False, True]
        assert len(hellos[1]) - len(hellos[0]) == 8 + 40
        session, found, _ = certificates(Cached(RawPublicKey(OURS, [server.point]), known), server)
        assert session.connected and found == [known]
    long = Long(768, 2048).certificate()
    session, found, hellos = with_cookie(Cached(Long(256, 2048), long), CachedServer(Long(768, 2048)))
    assert session.connected and found == [fingerprint(long)]
    assert [fingerprint(long) in hello for hello in hellos] == [True, True]


def test_it_works_below_any_of_and_a_resumption_does_without():
    random = SeededRandom(4)
    offered = AnyOf(CachedServer(Long(768, 2048)), PskLookup({}.get))
    server = Listener(offered, random, 0, lambda address: address, tickets=Tickets(random, 1 << 28, 0))
    credentials = Cached(Long(256, 2048), Long(768, 2048).certificate())
    session = Session(Client(credentials, random), RecordLayer(), 0)
    assert exchange(session, server, b"a") == [CONNECTED] and session.identity == b"768"
    again = Session(Client(credentials, random, resume=session.resumption()), RecordLayer(), 0)
    assert exchange(again, server, b"b") == [CONNECTED] and again.resumed
