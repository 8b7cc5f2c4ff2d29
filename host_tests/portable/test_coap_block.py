# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Block-wise transfers (RFC 7959) between two endpoints."""

from test_coap_exchange import Random, carry

from dice.coap.block import Blockwise, Transfer
from dice.coap.exchange import Endpoint
from dice.coap.message import BLOCK1, BLOCK2, CHANGED, CON, CONTENT, GET, POST, PUT, Message, decode, path_options


class Shelf:
    """A resource that is read and written."""

    def __init__(self, body=b""):
        self.body = body
        self.calls = 0

    def __call__(self, request, peer):
        self.calls += 1
        if request.code == GET:
            return CONTENT, self.body
        self.body = bytes(request.payload)
        return CHANGED, self.body if request.code == POST else b""


def transfer(shelf, code, payload=b"", szx=5, server_szx=5, most=4096, lose=lambda: False):
    """Return (the finished Transfer, datagrams)."""
    server = Endpoint(Blockwise(shelf, server_szx), Random(1))
    client = Endpoint(shelf, Random(2))
    moving = Transfer(client, code, "shelf", payload, 0, szx, most)
    count = now = 0
    while not moving.advance(now):
        count += carry(client, server, now, lose)
        if not moving.advance(now) and client.deadline() is not None and not client._out:
            now = client.deadline()
            client.timeout(now)
    return moving, count


def test_every_length_both_ways():
    for size in (0, 1, 31, 32, 33, 64, 65, 200):
        body = bytes(i & 0xFF for i in range(size))
        moving, _ = transfer(Shelf(body), GET, szx=1, server_szx=1)
        assert moving.response.payload == body, size
        shelf = Shelf()
        moving, _ = transfer(shelf, PUT, body, szx=1)
        assert moving.response.code == CHANGED and shelf.body == body, size
        shelf = Shelf()
        moving, _ = transfer(shelf, POST, body, szx=1, server_szx=1)
        assert moving.response.payload == body and shelf.body == body and shelf.calls == 1, size


def test_what_fits_takes_one_exchange():
    _, count = transfer(Shelf(bytes(512)), GET)
    assert count == 2
    _, count = transfer(Shelf(bytes(513)), GET)
    assert count == 4


def test_over_a_network_that_loses():
    for seed in range(10):
        random = Random(seed)
        shelf = Shelf()
        moving, _ = transfer(shelf, POST, bytes(200), 1, 1, 4096, lambda random=random: random(1)[0] < 60)
        if moving.response:
            assert moving.response.payload == bytes(200) and shelf.calls == 1, seed


def test_bodies_are_bounded():
    shelf = Shelf()
    moving, _ = transfer(shelf, PUT, bytes(5000))
    assert moving.response.code == 0x8D and shelf.calls == 0
    moving, _ = transfer(Shelf(bytes(5000)), GET)
    assert moving.done and moving.response is None


def ask(handler, code, options, payload=b"", path="shelf"):
    return handler(Message(CON, code, 1, b"", path_options(path) + options, payload), None)


def test_blocks_out_of_turn():
    handler = Blockwise(Shelf())
    assert ask(handler, PUT, [(BLOCK1, b"\x18")], bytes(16))[0] == 0x88  # the second without the first
    assert ask(handler, PUT, [(BLOCK1, b"\x08")], bytes(16))[0] == 0x5F
    assert ask(handler, PUT, [(BLOCK1, b"\x28")], bytes(16))[0] == 0x88  # the third without the second
    assert ask(handler, PUT, [(BLOCK1, b"\x10")], bytes(16), "other")[0] == 0x88
    assert ask(handler, PUT, [(BLOCK1, b"\x08")], bytes(15))[0] == 0x80  # not a whole block
    assert ask(handler, PUT, [(BLOCK1, b"\x07")], bytes(16))[0] == 0x80  # SZX 7
    assert ask(handler, GET, [(BLOCK2, b"\x07")])[0] == 0x80
    assert ask(handler, POST, [(BLOCK2, b"\x10")])[0] == 0x88  # the second block of what was not asked
    assert ask(handler, GET, [(BLOCK2, b"\x50")])[0] == 0x80  # past the end


def test_a_server_that_wants_smaller_blocks():
    """Section 2.3: block 1 of 32 bytes comes after block 0 of 64, with the number that fits its own size."""
    client = Endpoint(Shelf(), Random(1))
    moving = Transfer(client, PUT, "shelf", bytes(200), 0, 2)
    request = decode(client.transmit())
    assert request.option(BLOCK1) == b"\x0a" and len(request.payload) == 64
    client.receive(Message(2, 0x5F, request.message_id, request.token, [(BLOCK1, b"\x09")]).encode(), 0)
    assert not moving.advance(0)
    request = decode(client.transmit())
    assert request.option(BLOCK1) == b"\x29" and len(request.payload) == 32


def test_the_size_of_the_responses_blocks_is_ours():
    """Section 2.4: libcoap's server over OpenSSL takes 1,024 bytes otherwise, which its own records then do not hold."""
    client = Endpoint(Shelf(), Random(1))
    Transfer(client, GET, "shelf", b"", 0)
    assert decode(client.transmit()).option(BLOCK2) == b"\x05"


def test_a_server_that_mixes_blocks_up():
    for value in (b"\x18", b"\x0f"):  # block 1 for block 0, and SZX 7
        client = Endpoint(Shelf(), Random(1))
        moving = Transfer(client, GET, "shelf", b"", 0)
        request = decode(client.transmit())
        client.receive(Message(2, CONTENT, request.message_id, request.token, [(BLOCK2, value)], bytes(16)).encode(), 0)
        assert moving.advance(0) and moving.response is None
