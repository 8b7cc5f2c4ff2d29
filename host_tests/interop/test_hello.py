# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The values that dice and its peers negotiate besides a suite: exported keys, server name, protocol, and record sizes."""

import asyncio

import pytest

from dice.errors import PeerError
from host_tests.interop import peers
from host_tests.interop.peers.base import EXPORT_BYTES
from host_tests.interop.test_dice import connect_and_ask, run_client, run_server

LABEL = "EXPORTER-dice"
NAME = "dice.test"
OWN_MAX_BYTES = 1203
TALKERS = peers.with_feature("hello")
LIMITERS = peers.with_feature("limit")


def exporting(run, option, name):
    """Return the keying material of both sides."""
    found = []
    peer = peers.get(name)

    def look(session, running):
        found.append((session.export(LABEL.encode(), EXPORT_BYTES), running))

    run(peer, look=look, **{option: {"export": LABEL}})
    ((ours, running),) = found
    return ours, peer.exported(running)


@pytest.mark.parametrize("name", peers.with_feature("export as server"))
def test_both_sides_export_the_same_keying_material_as_client(name):
    """RFC 5705."""
    ours, theirs = exporting(run_client, "serve", name)
    assert ours == theirs
    assert len(theirs) == EXPORT_BYTES


@pytest.mark.parametrize("name", peers.with_feature("export"))
def test_both_sides_export_the_same_keying_material_as_server(name):
    """RFC 5705."""
    ours, theirs = exporting(run_server, "connect", name)
    assert ours == theirs
    assert len(theirs) == EXPORT_BYTES


def test_openssl_receives_the_server_name():
    """It prints the extension."""
    printed = []
    run_client(
        peers.get("OpenSSL"),
        serve={"name": NAME},
        look=lambda _, server: printed.append(server.output()),
        server_name=NAME.encode(),
    )
    assert b'TLS client extension "server name"' in printed[0]
    assert NAME.encode() in printed[0]


def test_gnutls_accepts_its_own_server_name_and_refuses_another():
    """It refuses without an alert."""
    peer = peers.get("GnuTLS")
    run_client(peer, serve={"name": NAME}, server_name=NAME.encode())
    port = peers.free_port()
    with peer.serve(port, name=NAME) as server, pytest.raises(PeerError):
        asyncio.run(connect_and_ask(port, peer, server_name=b"else.test", timeout_s=1))
    assert b"The SNI host name not recognised" in server.output()


@pytest.mark.parametrize("name", TALKERS)
def test_the_server_name_of_the_client_is_available_as_server(name):
    (session,), _ = run_server(peers.get(name), connect={"name": NAME})
    assert session.server_name == NAME.encode()


@pytest.mark.parametrize("name", TALKERS)
def test_the_common_protocol_is_selected_as_client(name):
    """The server supports only the second protocol that we offer."""
    session, _ = run_client(peers.get(name), serve={"alpn": ["co"]}, alpn=(b"h3", b"co"))
    assert session.alpn == b"co"


@pytest.mark.parametrize("name", TALKERS)
def test_the_common_protocol_is_selected_as_server(name):
    """The client offers only the second protocol that we support, and prints it."""
    printed = []
    peer = peers.get(name)
    (session,), _ = run_server(
        peer, connect={"alpn": ["h2", "co"]}, look=lambda _, client: printed.append(client.output()), alpn=(b"h3", b"co")
    )
    assert session.alpn == b"co"
    assert peer.chosen + b"co\n" in printed[0]


@pytest.mark.parametrize("code, length", [(None, OWN_MAX_BYTES), (1, 512), (2, 1024)])
@pytest.mark.parametrize("name", [name for name in peers.with_feature("mfl") if "server" in peers.PEERS[name].features])
def test_max_fragment_length_is_negotiated_as_client(name, code, length):
    """The server's hello confirms the length. Without the extension the record size is our own maximum."""
    session, _ = run_client(peers.get(name), fragment_code=code)
    assert session.layer.record_max == length


@pytest.mark.parametrize("name", LIMITERS)
def test_the_record_size_limit_of_the_peer_is_used_as_client(name):
    """Each side has its own limit."""
    session, _ = run_client(peers.get(name), serve={"limit": 600}, size_limit=700)
    assert session.layer.record_max == 600


@pytest.mark.parametrize("name", LIMITERS)
def test_the_record_size_limit_of_the_peer_is_used_as_server(name):
    """Each side has its own limit."""
    (session,), _ = run_server(peers.get(name), connect={"limit": 600})
    assert session.layer.record_max == 600
