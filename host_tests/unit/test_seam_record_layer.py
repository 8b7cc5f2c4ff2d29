# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Another record layer plugs in from one file: its records have no version and no sequence number, and are not encrypted."""

import os

from dice.dtls.client import Client
from dice.dtls.kx_psk import Psk
from dice.dtls.kx_psk_server import PskLookup
from dice.dtls.server import Server
from dice.dtls.session import Session
from dice.errors import CONNECTED
from host_tests.portable.dtls_pair import IDENTITY, KEY, drain, give, settle


class FakeLayer:
    """type 1 | epoch 1 | length 2 | plaintext."""

    def __init__(self):
        self.cid = self.peer_cid = b""
        self.record_max, self.epoch, self.oldest = 500, 0, 0
        self.newest = self.forged = False
        self.dropped, self.keys = {}, None

    def set_keys(self, key_block, is_client, suite):
        self.keys, self.epoch = key_block, self.epoch + 1

    def overhead(self, epoch):
        return 4

    def seal(self, content_type, epoch, plaintext):
        assert epoch <= self.epoch
        return bytearray(bytes((content_type, epoch)) + len(plaintext).to_bytes(2, "big") + plaintext)

    def split(self, datagram):
        return 4 + int.from_bytes(datagram[2:4], "big")

    def epoch_of(self, data):
        return data[1]

    def open(self, data):
        self.newest = data[1] > 0
        return (data[1], data[0], bytes(data[4:])) if self.oldest <= data[1] <= self.epoch else self.drop("epoch")

    def drop(self, kind):
        self.dropped[kind] = self.dropped.get(kind, 0) + 1

    def close(self):
        self.epoch = 0


def test_a_session_uses_a_record_layer_defined_here():
    ours = Session(Client(Psk(IDENTITY, KEY), os.urandom), FakeLayer(), 0)
    theirs = Session(Server(PskLookup({IDENTITY: KEY}.get), os.urandom), FakeLayer(), 0)
    assert settle(ours, theirs) == ([CONNECTED], [CONNECTED])
    assert ours.layer.keys == theirs.layer.keys and theirs.identity == IDENTITY
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        sender.send(b"data", 0)
        assert give(receiver, drain(sender)) == [b"data"]
