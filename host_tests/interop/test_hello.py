# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What dice and its peers agree on besides a suite: keying material, server name, protocol, and the lengths of records."""

import asyncio

import pytest

from dice.errors import PeerError
from host_tests.interop import peers
from host_tests.interop.peers.base import EXPORT_BYTES
from host_tests.interop.test_dice import answering, ask, asking

LABEL = "EXPORTER-dice"
NAME = "dice.test"
OWN_MAX_BYTES = 1152
TALKERS = peers.with_feature("hello")
LIMITERS = peers.with_feature("limit")


def exporting(run, option, name):
    """Return what both sides derive."""
    found = []
    peer = peers.get(name)

    def look(session, running):
        found.append((session.export(LABEL.encode(), EXPORT_BYTES), running))

    run(peer, look=look, **{option: {"export": LABEL}})
    ((ours, running),) = found
    return ours, peer.exported(running)


@pytest.mark.parametrize("name", peers.with_feature("export as server"))
def test_keying_material_as_client(name):
    """RFC 5705: both sides derive the same."""
    ours, theirs = exporting(asking, "serve", name)
    assert ours == theirs
    assert len(theirs) == EXPORT_BYTES


@pytest.mark.parametrize("name", peers.with_feature("export"))
def test_keying_material_as_server(name):
    """RFC 5705: both sides derive the same."""
    ours, theirs = exporting(answering, "connect", name)
    assert ours == theirs
    assert len(theirs) == EXPORT_BYTES


def test_server_name_as_client_of_openssl():
    """It prints the extension."""
    said = []
    asking(
        peers.get("OpenSSL"),
        serve={"name": NAME},
        look=lambda _, server: said.append(server.output()),
        server_name=NAME.encode(),
    )
    assert b'TLS client extension "server name"' in said[0]
    assert NAME.encode() in said[0]


def test_server_name_as_client_of_gnutls():
    """It has that name, and refuses another, without an alert."""
    peer = peers.get("GnuTLS")
    asking(peer, serve={"name": NAME}, server_name=NAME.encode())
    port = peers.free_port()
    with peer.serve(port, name=NAME) as server, pytest.raises(PeerError):
        asyncio.run(ask(port, peer, server_name=b"else.test", timeout_s=1))
    assert b"The SNI host name not recognised" in server.output()


@pytest.mark.parametrize("name", TALKERS)
def test_server_name_as_server(name):
    (session,), _ = answering(peers.get(name), connect={"name": NAME})
    assert session.server_name == NAME.encode()


@pytest.mark.parametrize("name", TALKERS)
def test_protocol_as_client(name):
    """The server has only the second of ours."""
    session, _ = asking(peers.get(name), serve={"alpn": ["co"]}, alpn=(b"h3", b"co"))
    assert session.alpn == b"co"


@pytest.mark.parametrize("name", TALKERS)
def test_protocol_as_server(name):
    """The client has only the second of ours, and prints it."""
    said = []
    peer = peers.get(name)
    (session,), _ = answering(
        peer, connect={"alpn": ["h2", "co"]}, look=lambda _, client: said.append(client.output()), alpn=(b"h3", b"co")
    )
    assert session.alpn == b"co"
    assert peer.chosen + b"co\n" in said[0]


@pytest.mark.parametrize("code, length", [(None, OWN_MAX_BYTES), (1, 512), (2, 1024)])
@pytest.mark.parametrize("name", [name for name in peers.with_feature("mfl") if "server" in peers.PEERS[name].features])
def test_max_fragment_length_as_client(name, code, length):
    """The server takes our offer, as its hello says; without one there is no such limit."""
    session, _ = asking(peers.get(name), fragment_code=code)
    assert session.layer.record_max == length


@pytest.mark.parametrize("name", LIMITERS)
def test_record_size_limit_as_client(name):
    """Either has its own."""
    session, _ = asking(peers.get(name), serve={"limit": 600}, size_limit=700)
    assert session.layer.record_max == 600


@pytest.mark.parametrize("name", LIMITERS)
def test_record_size_limit_as_server(name):
    """Either has its own."""
    (session,), _ = answering(peers.get(name), connect={"limit": 600})
    assert session.layer.record_max == 600
