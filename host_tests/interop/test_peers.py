# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The peers among themselves, through the relay: their drivers work, and this is what their handshakes take on the wire."""

import pytest

from host_tests.interop import peers
from host_tests.interop.relay import Relay

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
    ("libcoap-OpenSSL", "libcoap-GnuTLS"),
    ("libcoap-GnuTLS", "libcoap-OpenSSL"),
]


def talk(client_name, server_name, rule=None, **options):
    """Let two peers shake hands and exchange something; return the relay, with what passed."""
    server, client = peers.get(server_name), peers.get(client_name)
    port = peers.free_port()
    with server.serve(port, **options) as serving, Relay(port, rule) as relay, client.connect(relay.port, **options) as connected:
        serving.read_until(connected.says, 20)
        connected.read_until(server.ask(connected.says.split()[-1])[1])
        connected.close()
        connected.wait()
        if server.closed and "close" in client.features:
            serving.read_until(server.closed)
    return relay


@pytest.mark.parametrize("suite", [peers.CCM_8, peers.CCM], ids=["CCM_8", "CCM"])
@pytest.mark.parametrize("client, server", PAIRS)
def test_pairs(client, server, suite):
    if suite == peers.CCM and not {client, server} <= set(peers.with_feature("ccm")):
        return
    relay = talk(client, server, suite=suite)
    assert relay.handshake()[0] >= 6
    assert any(datagram[0] == 23 for _, datagram in relay.passed())
