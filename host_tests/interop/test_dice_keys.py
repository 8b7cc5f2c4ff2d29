# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice as client and as server with every peer that has raw public keys, certificates or ECDHE_PSK: what succeeds."""

import asyncio

import pytest

from dice.dtls.kx_ecdhe_psk import EcdhePsk
from dice.dtls.kx_ecdhe_psk_server import EcdhePskLookup
from host_tests.interop import peers, report
from host_tests.interop.public_keys import Pair
from host_tests.interop.relay import Relay
from host_tests.interop.test_dice import connect_and_ask, run_client, run_server, with_suite

CERTIFICATE, CERTIFICATE_VERIFY = 11, 15
RAW, CERTIFICATES = peers.with_feature("raw public keys"), peers.with_feature("certificates")
SIDES = [(name, is_raw) for is_raw, names in ((True, RAW), (False, CERTIFICATES)) for name in names]


def named(values):
    """Return parameters with readable names."""
    return [
        pytest.param(name, is_raw, *rest, id="-".join(map(str, [name, "raw" if is_raw else "x509", *rest])))
        for name, is_raw, *rest in values
    ]


BOTH_WAYS = named((name, is_raw, how) for name, is_raw in SIDES for how in ("mutual", "server only"))
ALWAYS_ASK = peers.with_feature("always asks")
AS_CLIENT = [one for one in BOTH_WAYS if one.values[0] not in ALWAYS_ASK or one.values[1:] != (True, "server only")]
LONG_TAG = named(side for side in SIDES if side[0] in peers.with_feature("ecdsa ccm"))


def proves(relay):
    """Return whether the client has sent a Certificate, which is empty if it has none, and whether it has signed."""
    return ("up", CERTIFICATE) in relay.messages(), ("up", CERTIFICATE_VERIFY) in relay.messages()


def pair_of(name, is_raw, folder, **options):
    """Return keys of both sides, with an authority in between if the peer sends its certificate."""
    always = is_raw and name in peers.with_feature("always raw keys")
    return Pair(folder, is_raw, 2 if name in peers.with_feature("chains") else 1, always=always, **options)


@pytest.mark.parametrize("name, is_raw, how", AS_CLIENT)
def test_dice_client_exchanges_data(name, is_raw, how, tmp_path):
    peer, pair = peers.get(name), pair_of(name, is_raw, tmp_path, mutual=how == "mutual")
    session, relay = run_client(peer, pair.suite, {"keys": pair.peer_server}, credentials=pair.client, note=how)
    assert proves(relay) == (pair.mutual, pair.mutual)
    assert session.layer.dropped == {}
    assert session.identity == (pair.own_server.key.identity if is_raw else b"server.test")


@pytest.mark.parametrize("name, is_raw, how", BOTH_WAYS)
def test_dice_server_exchanges_data(name, is_raw, how, tmp_path):
    peer, pair = peers.get(name), pair_of(name, is_raw, tmp_path, mutual=how == "mutual")
    (session,), relay = run_server(peer, pair.suite, {"keys": pair.peer_client}, credentials=pair.server, note=how)
    assert proves(relay) == (pair.mutual, pair.mutual)
    assert session.layer.dropped == {}
    assert session.identity == ((pair.own_client.key.identity if is_raw else b"client.test") if pair.mutual else b"")


@pytest.mark.on_demand
@pytest.mark.parametrize("name, is_raw", LONG_TAG)
def test_dice_client_exchanges_data_with_the_long_tag(name, is_raw, tmp_path):
    pair = pair_of(name, is_raw, tmp_path, suite=peers.ECDSA_CCM)
    run_client(peers.get(name), pair.suite, {"keys": pair.peer_server}, credentials=pair.client, note="mutual")


@pytest.mark.on_demand
@pytest.mark.parametrize("name, is_raw", LONG_TAG)
def test_dice_server_exchanges_data_with_the_long_tag(name, is_raw, tmp_path):
    pair = pair_of(name, is_raw, tmp_path, suite=peers.ECDSA_CCM)
    run_server(peers.get(name), pair.suite, {"keys": pair.peer_client}, credentials=pair.server, note="mutual")


@pytest.mark.parametrize("length", [1, 3])
def test_chains_of_other_lengths_are_verified(length, tmp_path):
    """OpenSSL sends the root too behind a chain of one. By itself it would use the MTU of loopback, which is 65,536."""
    peer, pair = peers.get("OpenSSL"), Pair(tmp_path, False, length)
    note = f"mutual, chains of {length}"
    session, _ = run_client(peer, pair.suite, {"keys": pair.peer_server, "mtu": 1472}, credentials=pair.client, note=note)
    assert session.layer.dropped == {}
    (session,), _ = run_server(peer, pair.suite, {"keys": pair.peer_client, "mtu": 1472}, credentials=pair.server, note=note)
    assert session.layer.dropped == {}


def test_a_server_that_requests_a_certificate_may_do_without(tmp_path):
    """The client has none, and sends an empty Certificate."""
    peer, pair = peers.get("OpenSSL"), Pair(tmp_path, False, mutual=False)
    keys = pair.peer_server
    keys.ask = "request"
    _, relay = run_client(peer, pair.suite, {"keys": keys}, credentials=pair.client, note="requested, client without")
    assert proves(relay) == (True, False)


@pytest.mark.parametrize("name, is_raw", [("MbedTLS", False), ("BouncyCastle", True)])
def test_connection_ids_are_used(name, is_raw, tmp_path):
    peer, pair = peers.get(name), pair_of(name, is_raw, tmp_path)
    options = {"credentials": pair.client, "note": "mutual", "cid": b"\7"}
    session, _ = run_client(peer, pair.suite, {"keys": pair.peer_server, "cid": b"\5\6"}, **options)
    assert (session.layer.cid, session.layer.peer_cid) == (b"\7", b"\5\6")
    connect = {"keys": pair.peer_client, "cid": b"\5"}
    (session,), _ = run_server(peer, pair.suite, connect, credentials=pair.server, note="mutual", cid_bytes=2)
    assert (len(session.layer.cid), session.layer.peer_cid) == (2, b"\5")


@pytest.mark.parametrize("name", ["OpenSSL", "GnuTLS"])
def test_a_small_mtu_is_respected(name, tmp_path):
    """Flights of several KB in both directions."""
    peer, pair = peers.get(name), Pair(tmp_path, False, 3)
    options = {"credentials": pair.client, "note": "mutual, chains of 3", "mtu": 128}
    _, relay = run_client(peer, pair.suite, {"keys": pair.peer_server, "mtu": 512}, **options)
    assert max(relay.datagrams("up")) <= 128


@pytest.mark.parametrize(
    "name, is_raw, how",
    [
        ("OpenSSL", False, "id"),
        ("OpenSSL", False, "ticket"),
        ("MbedTLS", False, "id"),
        ("wolfSSL", True, "id"),
        ("GnuTLS", True, "ticket"),
    ],
)
def test_a_session_is_resumed_as_client(name, is_raw, how, tmp_path):
    """Nobody signs in the second handshake."""
    peer, pair = peers.get(name), pair_of(name, is_raw, tmp_path)

    async def twice(port):
        ask = port, peer, pair.suite, None, pair.client
        first, resumption = await connect_and_ask(*ask, tickets=how == "ticket")
        second, _ = await connect_and_ask(*ask, resume=resumption)
        return first, second

    port = peers.free_port()
    with peer.serve(port, suite=pair.suite, keys=pair.peer_server), Relay(port) as relay:
        first, second = asyncio.run(twice(relay.port))
    report.add("client", peer, pair.suite, f"resumed by {how}", relay, pair.peer_server)
    assert (first.resumed, second.resumed) == (False, True)
    assert relay.messages().count(("down", CERTIFICATE)) == 1


@pytest.mark.parametrize(
    "name, is_raw, how",
    [("MbedTLS", False, "id"), ("MbedTLS", False, "ticket"), ("wolfSSL", True, "id"), ("wolfSSL", True, "ticket")],
)
def test_a_session_is_resumed_as_server(name, is_raw, how, tmp_path):
    peer, pair = peers.get(name), pair_of(name, is_raw, tmp_path)
    sessions, _ = run_server(peer, pair.suite, {"keys": pair.peer_client, "resume": how}, credentials=pair.server)
    assert [session.resumed for session in sessions] == [False, True]
    assert sessions[0].identity == sessions[1].identity == (pair.own_client.key.identity if is_raw else b"client.test")


@pytest.mark.parametrize("suite", [peers.ECDHE_PSK_CCM_8, peers.ECDHE_PSK_CCM])
@pytest.mark.parametrize("name", peers.with_feature("ECDHE_PSK"))
def test_ecdhe_psk_exchanges_data(name, suite):
    peer, identity = peers.get(name), peers.IDENTITY.encode()
    session, _ = run_client(peer, suite, credentials=with_suite(EcdhePsk(identity, peers.KEY), suite))
    assert session.layer.dropped == {}
    (session,), _ = run_server(peer, suite, credentials=with_suite(EcdhePskLookup({identity: peers.KEY}.get), suite))
    assert (session.identity, session.layer.dropped) == (identity, {})
