# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Certificates and raw public keys with one fault each, and points and signatures that were changed on their way.

dice ends each handshake with the right alert, which the peer understands; and it reports the alert of a peer that finds the fault.
"""

import asyncio
import contextlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import dice
from dice.errors import PeerError
from dice.reasons import E_ALERT
from host_tests import certificates
from host_tests.interop import peers
from host_tests.interop.public_keys import Pair
from host_tests.interop.relay import Relay
from host_tests.patience import PATIENCE_S, until, until_async

BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE, CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN = 42, 43, 45, 46
HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, UNKNOWN_CA, DECRYPT_ERROR = 40, 47, 48, 51
ABOUT_CERTIFICATES = range(42, 50)

KEY = certificates.Key("node")
P384 = certificates.Key("other curve", ec.SECP384R1())
# Faults of a certificate: (its options, our alert). OpenSSL does not load a point off the curve.
FAULTS = {
    "expired": (certificates.EXPIRED, CERTIFICATE_EXPIRED),
    "not yet valid": (certificates.NOT_YET, CERTIFICATE_EXPIRED),
    "wrong usage": ({"usage": "code"}, UNSUPPORTED_CERTIFICATE),
    "broken signature": ({"broken": True}, BAD_CERTIFICATE),
    "critical extension": ({"unknown": "critical"}, UNSUPPORTED_CERTIFICATE),
    "wrong curve": ({"key": P384}, UNSUPPORTED_CERTIFICATE),
    "compressed point": ({"key": KEY, "point": KEY.compressed}, UNSUPPORTED_CERTIFICATE),
    "point off the curve": ({"key": KEY, "point": certificates.off_the_curve(KEY.point)}, BAD_CERTIFICATE),
    "wrong name": ({"names": ("dns:other.test",)}, CERTIFICATE_UNKNOWN),
}
LOADABLE = {name: fault for name, fault in FAULTS.items() if name not in ("point off the curve", "wrong name")}


def of(faults):
    return [pytest.param(*fault, id=name.replace(" ", "-")) for name, fault in faults.items()]


@pytest.fixture(scope="module")
def bouncy_castle(tmp_path_factory):
    """Return (port, function that gives a server of Bouncy Castle other keys, its PeerProcess): one for all tests."""
    peer = peers.get("BouncyCastle")
    port = peers.free_port()
    pair = Pair(tmp_path_factory.mktemp("first"), True)
    with peer.serve(port, suite=peers.ECDSA_CCM_8, keys=pair.peer_server) as server:
        yield port, lambda keys: peer.use(server, keys), server


async def refused(port, credentials):
    """Let a dice client fail; return its error."""
    with pytest.raises(PeerError) as failure:
        await dice.connect((peers.HOST, port), credentials, timer_ms=1000, timeout_s=PATIENCE_S)
    return failure.value


def refuse_server(port, credentials, rule=None):
    """Let a dice client refuse a server; return the alert, which it has sent once."""
    with Relay(port, rule) as relay:
        error = asyncio.run(refused(relay.port, credentials))
        until(lambda: relay.plain_alerts("up"), "the alert")
    assert relay.plain_alerts("up") == [error.alert]
    assert relay.plain_alerts("down") == []
    return error.alert


@pytest.mark.parametrize("options, alert", of(FAULTS))
def test_dice_client_refuses_a_certificate_of_bouncy_castle(bouncy_castle, tmp_path, options, alert):
    port, use, server = bouncy_castle
    pair = Pair(tmp_path, False, 2, mutual=False, faulty="server", **options)
    use(pair.peer_server)
    assert refuse_server(port, pair.client) == alert
    server.read_until(b"alert %d" % alert)


def test_dice_client_refuses_an_unknown_root_of_bouncy_castle(bouncy_castle, tmp_path):
    port, use, server = bouncy_castle
    pair = Pair(tmp_path, False, 2, mutual=False)
    use(pair.peer_server)
    pair.root = certificates.Authority("another root")
    assert refuse_server(port, pair.client) == UNKNOWN_CA
    server.read_until(b"alert %d" % UNKNOWN_CA)


@pytest.mark.parametrize("how", ["unknown", "off-the-curve", "compressed"])
def test_dice_client_refuses_a_raw_key_of_bouncy_castle(bouncy_castle, tmp_path, how):
    port, use, server = bouncy_castle
    pair = Pair(tmp_path, True, mutual=False)
    credentials = pair.client
    alert = UNSUPPORTED_CERTIFICATE if how == "compressed" else CERTIFICATE_UNKNOWN
    if how == "unknown":
        pair.own_server = pair.own_client
    elif how == "off-the-curve":
        pair.own_server.key.spki = certificates.spki(certificates.off_the_curve(pair.own_server.key.point))
    else:
        algorithm = certificates.elements(certificates.contents(pair.own_server.key.spki))[0]
        pair.own_server.key.spki = certificates.sequence(algorithm, certificates.tlv(3, b"\0" + pair.own_server.key.compressed))
    use(pair.peer_server)
    assert refuse_server(port, credentials) == alert
    server.read_until(b"alert %d" % alert)


def changed(kind, offset, value, direction):
    """Return a rule of a Relay that changes a byte of the body of a handshake message, which it counts from its start or end."""

    def rule(way, number, datagram):
        at = 0
        while way == direction and at + 25 < len(datagram) and datagram[at : at + 1] + datagram[at + 3 : at + 5] == b"\x16\0\0":
            length = int.from_bytes(datagram[at + 11 : at + 13], "big")
            if datagram[at + 13] == kind:
                place = at + 25 + offset if offset >= 0 else at + 13 + length + offset
                return [datagram[:place] + bytes((datagram[place] ^ value,)) + datagram[place + 1 :]]
            at += 13 + length
        return [datagram]

    return rule


SERVER_KEY_EXCHANGE, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE = 12, 15, 16
OF_A_SERVER = {
    "wrong curve": (SERVER_KEY_EXCHANGE, 2, 23 ^ 24, ILLEGAL_PARAMETER),
    "compressed point": (SERVER_KEY_EXCHANGE, 4, 4 ^ 2, ILLEGAL_PARAMETER),
    "point off the curve": (SERVER_KEY_EXCHANGE, 68, 1, DECRYPT_ERROR),  # its signature is verified first
    "algorithm": (SERVER_KEY_EXCHANGE, 69, 1, ILLEGAL_PARAMETER),
    "signature": (SERVER_KEY_EXCHANGE, -1, 1, DECRYPT_ERROR),
}
OF_A_CLIENT = {
    "compressed point": (CLIENT_KEY_EXCHANGE, 1, 4 ^ 2, ILLEGAL_PARAMETER),
    "point off the curve": (CLIENT_KEY_EXCHANGE, 65, 1, ILLEGAL_PARAMETER),
    "signature": (CERTIFICATE_VERIFY, -1, 1, DECRYPT_ERROR),
}


@pytest.mark.parametrize("kind, offset, value, alert", of(OF_A_SERVER))
def test_dice_client_refuses_what_was_changed_on_its_way(bouncy_castle, tmp_path, kind, offset, value, alert):
    port, use, server = bouncy_castle
    pair = Pair(tmp_path, True)
    use(pair.peer_server)
    assert refuse_server(port, pair.client, changed(kind, offset, value, "down")) == alert
    server.read_until(b"alert %d" % alert)


@contextlib.asynccontextmanager
async def serving(credentials, rule=None):
    """Run a dice server; yields (service, relay)."""

    async def handle(connection):
        async for message in connection:
            await connection.send(message)

    port = peers.free_port()
    service = await dice.serve(port, credentials, handle, timer_ms=1000)
    try:
        with Relay(port, rule) as relay:
            yield service, relay
    finally:
        service.close()


async def refuse_client(peer, keys, suite, credentials, rule=None):
    """Let a dice server refuse a peer's client, which understands it and leaves nothing behind; return the alert."""
    async with serving(credentials, rule) as (service, relay):
        with peer.connect(relay.port, suite=suite, keys=keys) as client:
            await until_async(lambda: relay.plain_alerts("down"), "the alert")
            await until_async(lambda: peer.heard(client), "the client's word")
            heard = peer.heard(client)
        assert not service.listener.sessions
    assert relay.plain_alerts("down")[:1] == heard[:1]
    return heard[0]


@pytest.mark.parametrize("options, alert", of(LOADABLE))
def test_dice_server_refuses_a_certificate_of_openssl(tmp_path, options, alert):
    pair = Pair(tmp_path, False, 2, faulty="client", **options)
    assert asyncio.run(refuse_client(peers.get("OpenSSL"), pair.peer_client, pair.suite, pair.server)) == alert


@pytest.mark.parametrize("name", ["GnuTLS", "tinydtls"])
def test_dice_server_refuses_a_raw_key_that_it_does_not_know(tmp_path, name):
    pair = Pair(tmp_path, True)
    credentials = pair.server
    pair.own_client = certificates.Authority().issue("dns:unknown.test")
    assert asyncio.run(refuse_client(peers.get(name), pair.peer_client, pair.suite, credentials)) == CERTIFICATE_UNKNOWN


@pytest.mark.parametrize("name, is_raw", [("OpenSSL", False), ("GnuTLS", False), ("wolfSSL", False)])
def test_dice_server_refuses_a_client_that_shows_nothing(tmp_path, name, is_raw):
    """Its Certificate is empty."""
    pair = Pair(tmp_path, is_raw)
    credentials = pair.server
    pair.has_client = False
    assert asyncio.run(refuse_client(peers.get(name), pair.peer_client, pair.suite, credentials)) == HANDSHAKE_FAILURE


@pytest.mark.parametrize("kind, offset, value, alert", of(OF_A_CLIENT))
def test_dice_server_refuses_what_was_changed_on_its_way(tmp_path, kind, offset, value, alert):
    pair = Pair(tmp_path, True)
    rule = changed(kind, offset, value, "up")
    assert asyncio.run(refuse_client(peers.get("GnuTLS"), pair.peer_client, pair.suite, pair.server, rule)) == alert


VERIFIERS = [(name, False) for name in ("OpenSSL", "GnuTLS", "MbedTLS", "wolfSSL", "BouncyCastle")]
VERIFIERS += [("tinydtls", True), ("BouncyCastle", True)]


@pytest.mark.parametrize("name, is_raw", VERIFIERS)
def test_the_alert_of_a_server_that_does_not_trust_us_is_reported(name, is_raw, tmp_path):
    """OpenSSL and others have our Finished already; the alert that they send is not protected, or protected."""
    peer = peers.get(name)
    pair = Pair(tmp_path, is_raw, faulty="client", **certificates.EXPIRED)
    server_keys = pair.peer_server
    if is_raw:
        pair.own_client = certificates.Authority().issue("dns:unknown.test")
    port = peers.free_port()
    with peer.serve(port, suite=pair.suite, keys=server_keys), Relay(port) as relay:
        error = asyncio.run(refused(relay.port, pair.client))
    assert error.reason == E_ALERT
    assert [error.alert] == relay.plain_alerts("down")[:1]
    assert error.alert in ABOUT_CERTIFICATES


@pytest.mark.parametrize("name, is_raw", VERIFIERS)
def test_a_client_that_does_not_trust_us_leaves_nothing_behind(name, is_raw, tmp_path):
    """Its alert ends the handshake, and another client connects at once."""
    peer = peers.get(name)
    pair = Pair(tmp_path, is_raw, mutual=False, always=is_raw, faulty="server", **certificates.EXPIRED)
    client_keys, right = pair.peer_client, Pair(tmp_path / "right", is_raw, mutual=False)
    if is_raw:
        pair.own_server = certificates.Authority().issue("dns:unknown.test")
        right.own_server = pair.own_server

    async def run():
        async with serving(pair.server) as (service, relay):
            with peer.connect(relay.port, suite=pair.suite, keys=client_keys):
                await until_async(lambda: relay.plain_alerts("up"), "the alert")
                await until_async(lambda: not service.listener.sessions, "the end of the handshake")
            return relay.plain_alerts("up")[0]

    assert asyncio.run(run()) in ABOUT_CERTIFICATES
