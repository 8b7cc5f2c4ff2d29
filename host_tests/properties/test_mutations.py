# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One bit changed in a handshake prevents it: no session, no exception, and nobody else is harmed (invariant 2).

Raw public keys and certificates, each bit of each handshake message in plaintext behind the cookie: of both hellos, both
Certificates, both signatures, both points. The gate tries one bit of each byte; DICE_SEEDS=0:8 tries all.
"""

import os

import pytest

from dice.dtls.client import Client
from dice.dtls.kx_cert import Certificate
from dice.dtls.kx_cert_server import CertificateServer
from dice.dtls.kx_rpk import RawPublicKey
from dice.dtls.kx_rpk_server import RawPublicKeyServer
from dice.dtls.listener import Listener
from dice.dtls.record_layer import RecordLayer
from dice.dtls.session import Session
from dice.errors import DATA
from dice.x509.chain import Trust
from host_tests.certificates import NOW, Authority
from host_tests.portable.dtls_pair import drain, give
from host_tests.seeds import seeds

ROOT = Authority("root")
SERVER = ROOT.issue("dns:node.test", usage="server")
CLIENT = ROOT.issue("dns:lamp.test", usage="client")


def raw():
    """Return the credentials of a client and of a server, with raw public keys."""
    server = RawPublicKeyServer(SERVER.key.private, lambda identity: True)
    return RawPublicKey(CLIENT.key.private, [server.point]), server


def certificates():
    """Return the same, with certificates."""
    trust = Trust([ROOT.der])
    client = Certificate(CLIENT.key.private, CLIENT.chain, trust, "node.test", clock=lambda: NOW)
    return client, CertificateServer(SERVER.key.private, SERVER.chain, trust, clock=lambda: NOW)


class Ends:
    """A server that has a session with one client already, and another client."""

    def __init__(self, credentials):
        self.credentials, server = credentials()
        self.server = Listener(server, os.urandom, 0, lambda address: address, half_open_max=64)
        self.other = self.connect(b"other")

    def connect(self, address, change=None):
        """Let a client connect; return its session. `change(datagram)` is what arrives of each datagram, of both sides."""
        session = Session(Client(self.credentials, os.urandom, cid=None), RecordLayer(), 0)
        change = change or (lambda datagram: datagram)
        for _ in range(5):
            for datagram in drain(session):
                self.server.receive(change(datagram), address, 0)
            sent = self.server.transmit()
            while sent:
                give(session, [change(bytes(sent[0]))])
                sent = self.server.transmit()
        return session

    def check_other(self):
        """Assert that the other client still has its session."""
        self.other.send(b"alive", 0)
        assert [self.server.receive(datagram, b"other", 0)[0] for datagram in drain(self.other)] == [DATA]


def positions(datagram):
    """Yield where the bytes of the handshake messages in plaintext of a datagram are, without record headers."""
    at = 0
    while at < len(datagram) and datagram[at] == 22 and not datagram[at + 4]:
        end = at + 13 + int.from_bytes(datagram[at + 11 : at + 13], "big")
        yield from range(at + 13, end)
        at = end


@pytest.mark.parametrize("credentials", [raw, certificates], ids=["rpk", "certificates"])
def test_no_bit_of_a_handshake_can_be_changed(credentials):
    ends = Ends(credentials)
    flights = []
    ends.connect(b"right", lambda datagram: flights.append(datagram) or datagram)
    behind_cookie = [number for number, datagram in enumerate(flights) if list(positions(datagram))][2:]
    assert len(flights) - len(behind_cookie) == 3  # the first hello, its answer, and the last flight are not covered
    tried = 0
    for number in behind_cookie:
        for place in range(len(list(positions(flights[number])))):
            for bit in seeds(1):
                changed = []

                def change(datagram, place=place, mask=1 << ((bit + place) & 7), kind=flights[number][13], changed=changed):
                    """Change all flights that begin with the same message: a repetition does not help."""
                    places = list(positions(datagram))
                    if datagram[13] != kind or place >= len(places):  # signatures differ in length
                        return datagram
                    at = places[place]
                    changed.append(at)
                    return datagram[:at] + bytes((datagram[at] ^ mask,)) + datagram[at + 1 :]

                session = ends.connect(b"%d" % tried, change)
                assert not (changed and session.connected), (number, place, bit)
                if session.connected:
                    ends.server.sessions = [client for client in ends.server.sessions if client.address in (b"other", b"right")]
                assert {client.address for client in ends.server.sessions} == {b"other", b"right"}
                tried += bool(changed)
                ends.server.half_open.clear()
    ends.check_other()
    assert tried > 700
