# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The peers with each other, through the relay: their drivers work, and their handshakes are measured on the wire."""

import pytest

from host_tests.interop import peers
from host_tests.interop.relay import Impairment, Relay

PAIRS = [
    ("OpenSSL", "OpenSSL"),
    ("OpenSSL", "GnuTLS"),
    ("GnuTLS", "OpenSSL"),
    ("MbedTLS", "OpenSSL"),
    ("MbedTLS", "GnuTLS"),
    ("OpenSSL", "MbedTLS"),
    ("GnuTLS", "MbedTLS"),
    ("python-mbedtls", "OpenSSL"),
    ("OpenSSL", "python-mbedtls"),
    ("tinydtls", "OpenSSL"),
    ("OpenSSL", "tinydtls"),
    ("GnuTLS", "tinydtls"),
    ("BouncyCastle", "OpenSSL"),
    ("MbedTLS", "BouncyCastle"),
    ("libcoap-OpenSSL", "libcoap-GnuTLS"),
    ("libcoap-GnuTLS", "libcoap-OpenSSL"),
]
WITH_SUITES = [pytest.param(*pair, peers.CCM_8, id="-".join(pair) + "-CCM_8") for pair in PAIRS] + [
    pytest.param(*pair, peers.CCM, id="-".join(pair) + "-CCM") for pair in PAIRS if set(pair) <= set(peers.with_feature("ccm"))
]


def talk(client_name, server_name, rule=None, **options):
    """Let two peers connect and exchange a message; return the relay."""
    server, client = peers.get(server_name), peers.get(client_name)
    port = peers.free_port()
    with server.serve(port, **options) as serving, Relay(port, rule) as relay, client.connect(relay.port, **options) as connected:
        serving.read_until(connected.says, 20)
        connected.read_until(server.ask(connected.says.split()[-1])[1])
        connected.close()
        connected.wait()
        serving.read_until(server.closed)
    return relay


@pytest.mark.parametrize("client, server, suite", WITH_SUITES)
def test_every_pair_of_peers_exchanges_data(client, server, suite):
    relay = talk(client, server, suite=suite)
    assert relay.handshake()[0] >= 6
    assert any(datagram[0] == 23 for _, datagram in relay.passed())


@pytest.mark.parametrize("client, server", [("MbedTLS", "MbedTLS"), ("BouncyCastle", "MbedTLS"), ("MbedTLS", "BouncyCastle")])
def test_peers_use_connection_ids(client, server):
    """Each side has its own, and every protected record carries one."""
    relay = talk(client, server, cid=b"\xbe\xef")
    protected = [datagram for _, datagram in relay.passed() if datagram[3:5] == b"\0\1"]
    assert protected
    assert all(datagram[0] == 25 and datagram[11:13] == b"\xbe\xef" for datagram in protected)


@pytest.mark.parametrize("who", ["client", "relay"])
def test_a_client_that_changes_its_address_keeps_its_session(who):
    """The server finds the session by its connection id. The client changes its port, or the relay does as a NAT would."""
    peer = peers.get("BouncyCastle")
    port = peers.free_port()
    with peer.serve(port, cid=b"\1") as server, Relay(port) as relay, peer.connect(relay.port, cid=b"\2") as client:
        client.read_until(b"echo BouncyCastle")
        relay.move() if who == "relay" else peer.move(client)
        client.write(b"ask again\n")
        client.read_until(b"echo again")
        client.close()
        server.read_until(b"closed")
    assert len(relay.client_ports()) == (2 if who == "relay" else 1)


@pytest.mark.parametrize("client, server, how", [("MbedTLS", "BouncyCastle", "id"), ("BouncyCastle", "MbedTLS", "id"),
                                                 ("MbedTLS", "MbedTLS", "ticket"), ("GnuTLS", "OpenSSL", "ticket")])  # fmt: skip
def test_peers_resume_a_session(client, server, how):
    """The second handshake of a client takes fewer bytes."""
    asked, asking = peers.get(server), peers.get(client)
    port = peers.free_port()
    with asked.serve(port), Relay(port) as relay, asking.connect(relay.port, resume=how) as connected:
        connected.read_until(asked.ask(connected.says.split()[-1])[1])
        if client == "MbedTLS":
            connected.read_until(asked.ask(connected.says.split()[-1])[1])
        connected.close()
        connected.wait()
    exchanges = [datagram for way, datagram in relay.passed() if way == "up" and datagram[13:14] == b"\x10"]
    assert len(exchanges) == 1  # only one ClientKeyExchange, so the other handshake was a resumption


def test_a_handshake_survives_loss_duplication_and_reordering():
    """A seed gives the same losses every time; these peers retransmit."""
    rules = [Impairment(5, 0.2, 0.2, 0.2) for _ in range(2)]
    first, second = ([rule("up", number, bytes((number,))) for number in range(50)] for rule in rules)
    assert first == second
    assert [] in first
    relay = talk("OpenSSL", "OpenSSL", lambda direction, number, datagram: [] if number == 4 else [datagram])
    assert relay.handshake()[0] > 6
