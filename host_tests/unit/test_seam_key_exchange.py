# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A second key exchange plugs in from one file: an extension, two long certificates, "signatures" over randoms and transcript."""

import os

import pytest

from dice.crypto.hmac import Hmac
from dice.dtls.extensions import BOTH
from dice.dtls.handshake import KeyExchange
from dice.dtls.kx_psk import Psk
from dice.errors import PeerError
from host_tests.portable.dtls_pair import Client, RecordLayer, Server, Session, drain, give, settle

CERTIFICATE, SERVER_KEY_EXCHANGE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, CLIENT_KEY_EXCHANGE = 11, 12, 13, 15, 16


class Signed(KeyExchange):
    suites, digests, bytes_max, messages_max = Psk.suites, 3, 8192, 5

    def __init__(self, name, secret=b"both know it"):
        self.name, self.secret, self.asked = name, secret, []
        self.extensions = ((20, lambda handshake: b"\2", lambda handshake, data: self.asked.append(data), BOTH),)

    def flight(self, handshake):
        if not handshake.is_client:
            signed = Hmac(self.secret).digest(handshake.secrets.randoms)
            return [(CERTIFICATE, self.name), (SERVER_KEY_EXCHANGE, signed), (CERTIFICATE_REQUEST, b"\1")]
        handshake.premaster, handshake.identity = b"premaster", handshake.exchange[CERTIFICATE]
        return [(CERTIFICATE, self.name), (CLIENT_KEY_EXCHANGE, b"")]

    def read(self, handshake, kind, body):
        order = (11, 12, 13) if handshake.is_client else (11, 16, 15)
        taken = handshake.exchange = handshake.exchange or {}
        if kind not in order[len(taken) : len(taken) + 1]:
            return None
        taken[kind] = body
        covered = handshake.secrets.randoms if kind == SERVER_KEY_EXCHANGE else handshake.session_hash
        if kind in (SERVER_KEY_EXCHANGE, CERTIFICATE_VERIFY) and body != Hmac(self.secret).digest(covered):
            raise PeerError(51, 57)
        if kind == CLIENT_KEY_EXCHANGE:
            handshake.premaster, handshake.identity = b"premaster", taken[CERTIFICATE]
        return len(taken) == len(order)

    def prove(self, handshake):
        return [(CERTIFICATE_VERIFY, Hmac(self.secret).digest(handshake.session_hash))]


@pytest.mark.parametrize("secret", [b"both know it", b"another"])
def test_a_session_uses_a_key_exchange_defined_here(secret):
    server, client = Signed(b"server" * 250), Signed(b"client" * 250, secret)
    ours, theirs = Session(Client(client, os.urandom), RecordLayer(), 0), Session(Server(server, os.urandom), RecordLayer(), 0)
    settle(ours, theirs)
    assert client.asked == server.asked == [b"\2"]
    if secret != server.secret:
        assert ours.error.alert == 51 and not theirs.connected
        return
    ours.send(b"up", 0)
    assert (give(theirs, drain(ours)), ours.identity, theirs.identity) == ([b"up"], server.name, client.name)
