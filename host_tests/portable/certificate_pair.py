# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Credentials with chains of two certificates, for the portable tests of handshakes with X.509."""

from support import vectors

from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_cert_server import CertificateServer
from dice.x509.chain import Trust

NOW = 1_800_000_000  # host_tests/certificates.py: all but what is expired is valid then


def clock():
    """Return the time."""
    return NOW


class Chains:
    """Keys and chains, {name: (private, SHA-256 of the public key, [leaf, issuer])}, and a Trust in their anchor."""

    def __init__(self):
        self.made = {}
        for name, private, identity, *chain in vectors("chains.txt"):
            self.made[bytes(name).decode()] = private, identity, chain
        self.trust = Trust([self.made["anchor"][2][0]])

    def client(self, name="node.test", shown="client", now=clock):
        """Return the credentials of a client that wants a server with this name."""
        private, _, chain = self.made[shown]
        return Certificate(private, chain, self.trust, name, clock=now)

    def server(self, find=None, shown="server", now=clock):
        """Return the credentials of a server whose clients have to prove who they are."""
        private, _, chain = self.made[shown]
        return CertificateServer(private, chain, self.trust, find, clock=now)
