# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Raw public keys and certificates of both sides, as dice and as peers use them, for the tests of this folder."""

import time

from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.x509.chain import Trust
from host_tests import certificates
from host_tests.interop import peers

NAME = "server.test"


def clock():
    """Return the time of this computer, which peers ask too."""
    return int(time.time())


class Pair:
    """A server and a client, each with a certificate `length` above a root that both trust, and keys for both kinds.

    `peer_server`, `peer_client`: the Keys of a peer; `server`, `client`: the credentials of dice. `options` of a certificate, such
    as `broken=True`, are for the side that `faulty` names. `mutual`: the server demands the client's; else the client has none,
    unless `always`.
    """

    def __init__(self, folder, is_raw, length=1, mutual=True, always=False, suite=peers.ECDSA_CCM_8, faulty=None, **options):
        self.folder, self.is_raw, self.mutual, self.suite = folder, is_raw, mutual, suite
        self.has_client = mutual or always
        self.root = above = certificates.Authority("root")
        for number in range(length - 1):
            above = above.authority(f"authority {number}")
        server, client = ({"usage": side, **(options if faulty == side else {})} for side in ("server", "client"))
        self.own_server = above.issue(*server.pop("names", (f"dns:{NAME}",)), **server)
        self.own_client = above.issue(*client.pop("names", ("dns:client.test",)), **client)

    @property
    def peer_server(self):
        """Return what a peer needs as server."""
        return peers.Keys(self.folder / "server", self.is_raw, self.own_server, self.own_client, ask=self.mutual)

    @property
    def peer_client(self):
        """Return what a peer needs as client."""
        own = self.own_client if self.has_client else None
        return peers.Keys(self.folder / "client", self.is_raw, own, self.own_server, None if self.is_raw else NAME)

    @property
    def server(self):
        """Return the credentials of a dice server."""
        own, other = self.own_server, self.own_client
        if self.is_raw:
            made = RawPublicKeyServer(own.key.private, {other.key.identity}.__contains__ if self.mutual else None)
        else:
            made = CertificateServer(own.key.private, own.chain, Trust([self.root.der]) if self.mutual else None, clock=clock)
        made.suites = (self.suite,)
        return made

    @property
    def client(self):
        """Return the credentials of a dice client."""
        own, other = self.own_client, self.own_server
        private = own.key.private if self.has_client else None
        if self.is_raw:
            made = RawPublicKey(private, [other.key.point])
        else:
            made = Certificate(private, own.chain if self.has_client else [], Trust([self.root.der]), NAME, clock=clock)
        made.suites = (self.suite,)
        return made
