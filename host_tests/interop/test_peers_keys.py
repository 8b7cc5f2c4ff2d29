# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The peers with each other, with raw public keys, certificates and ECDHE_PSK: their drivers work, both sides are authenticated."""

import pytest

from host_tests import certificates
from host_tests.interop import peers
from host_tests.interop.relay import Relay

pytestmark = pytest.mark.on_demand  # the tests of dice with each peer use the same drivers
WITH_CERTIFICATES = [
    ("OpenSSL", "OpenSSL"),
    ("OpenSSL", "GnuTLS"),
    ("GnuTLS", "OpenSSL"),
    ("MbedTLS", "OpenSSL"),
    ("OpenSSL", "MbedTLS"),
    ("BouncyCastle", "OpenSSL"),
    ("MbedTLS", "BouncyCastle"),
    ("wolfSSL", "OpenSSL"),
    ("libcoap-OpenSSL", "libcoap-GnuTLS"),
    ("libcoap-GnuTLS", "libcoap-OpenSSL"),
]
WITH_RAW_KEYS = [
    ("GnuTLS", "GnuTLS"),
    ("tinydtls", "tinydtls"),
    ("tinydtls", "GnuTLS"),
    ("GnuTLS", "tinydtls"),
    ("BouncyCastle", "GnuTLS"),
    ("GnuTLS", "BouncyCastle"),
    ("wolfSSL", "wolfSSL"),
    ("wolfSSL", "GnuTLS"),
    ("libcoap-GnuTLS", "libcoap-GnuTLS"),
]
PAIRS = [pytest.param(*pair, False, id="-".join(pair)) for pair in WITH_CERTIFICATES]
PAIRS += [pytest.param(*pair, True, id="-".join(pair) + "-raw") for pair in WITH_RAW_KEYS]


def talk(client_name, server_name, suite, client_keys=None, server_keys=None):
    """Let two peers connect and exchange a message; return the relay."""
    server, client = peers.get(server_name), peers.get(client_name)
    port = peers.free_port()
    theirs, ours = ({"keys": keys} if keys else {} for keys in (server_keys, client_keys))
    with (
        server.serve(port, suite=suite, **theirs) as serving,
        Relay(port) as relay,
        client.connect(relay.port, suite=suite, **ours) as connected,
    ):
        serving.read_until(connected.says, 20)
        connected.read_until(server.ask(connected.says.split()[-1])[1])
        connected.close()
        connected.wait()
        serving.read_until(server.closed)
    return relay


@pytest.mark.parametrize("client, server, is_raw", PAIRS)
def test_every_pair_of_peers_exchanges_data(client, server, is_raw, tmp_path):
    """Both sides show what they have, and the client signs."""
    above = certificates.Authority("root")
    if {client, server} <= set(peers.with_feature("chains")):
        above = above.authority("middle")
    one, other = above.issue("dns:server.test", usage="server"), above.issue("dns:client.test", usage="client")
    server_keys = peers.Keys(tmp_path / "server", is_raw, one, other)
    client_keys = peers.Keys(tmp_path / "client", is_raw, other, one, None if is_raw else "server.test")
    relay = talk(client, server, peers.ECDSA_CCM_8, client_keys, server_keys)
    assert {("down", 11), ("down", 12), ("down", 13), ("up", 11), ("up", 15), ("up", 16)} <= set(relay.messages())


def test_a_pair_of_peers_exchanges_data_with_ecdhe_psk():
    relay = talk("BouncyCastle", "BouncyCastle", peers.ECDHE_PSK_CCM_8)
    assert ("down", 12) in relay.messages()
