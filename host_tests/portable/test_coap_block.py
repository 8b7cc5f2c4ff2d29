# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Block-wise transfers (RFC 7959) between two endpoints."""

from test_coap_exchange import Random, carry

from dice.coap.block import Blockwise, Transfer
from dice.coap.exchange import Endpoint
from dice.coap.message import BLOCK1, BLOCK2, CHANGED, CON, CONTENT, GET, POST, PUT, Message, decode, path_options


class StoredResource:
    """A resource that can be read and written; counts its calls."""

    def __init__(self, body=b""):
        self.body = body
        self.calls = 0

    def __call__(self, request, peer):
        self.calls += 1
        if request.code == GET:
            return CONTENT, self.body
        self.body = bytes(request.payload)
        return CHANGED, self.body if request.code == POST else b""


def transfer(resource, code, payload=b"", szx=5, server_szx=5, most=4096, lose=lambda: False):
    """Return (the finished Transfer, number of datagrams)."""
    server = Endpoint(Blockwise(resource, server_szx), Random(1))
    client = Endpoint(resource, Random(2))
    moving = Transfer(client, code, "shelf", payload, 0, szx, most)
    count = now = 0
    while not moving.advance(now):
        count += carry(client, server, now, lose)
        if not moving.advance(now) and client.deadline() is not None and not client._out:
            now = client.deadline()
            client.timeout(now)
    return moving, count


def test_bodies_of_every_length_transfer_both_ways():
    for size in (0, 1, 31, 32, 33, 64, 65, 200):
        body = bytes(i & 0xFF for i in range(size))
        moving, _ = transfer(StoredResource(body), GET, szx=1, server_szx=1)
        assert moving.response.payload == body, size
        resource = StoredResource()
        moving, _ = transfer(resource, PUT, body, szx=1)
        assert moving.response.code == CHANGED and resource.body == body, size
        resource = StoredResource()
        moving, _ = transfer(resource, POST, body, szx=1, server_szx=1)
        assert moving.response.payload == body and resource.body == body and resource.calls == 1, size


def test_a_body_that_fits_one_block_takes_one_exchange():
    _, count = transfer(StoredResource(bytes(512)), GET)
    assert count == 2
    _, count = transfer(StoredResource(bytes(513)), GET)
    assert count == 4


def test_a_transfer_over_a_lossy_network_calls_the_handler_once():
    answered = 0
    for seed in range(10):
        random = Random(seed)
        resource = StoredResource()
        moving, _ = transfer(resource, POST, bytes(200), 1, 1, 4096, lambda random=random: random(1)[0] < 60)
        if moving.response:
            assert moving.response.payload == bytes(200) and resource.calls == 1, seed
            answered += 1
    assert answered > 5, answered


def test_bodies_longer_than_the_limit_are_refused():
    resource = StoredResource()
    moving, _ = transfer(resource, PUT, bytes(5000))
    assert moving.response.code == 0x8D and resource.calls == 0
    moving, _ = transfer(StoredResource(bytes(5000)), GET)
    assert moving.done and moving.response is None


def ask(handler, code, options, payload=b"", path="shelf"):
    return handler(Message(CON, code, 1, b"", path_options(path) + options, payload), None)


def test_blocks_out_of_order_are_refused():
    handler = Blockwise(StoredResource())
    assert ask(handler, PUT, [(BLOCK1, b"\x18")], bytes(16))[0] == 0x88  # the second block without the first
    assert ask(handler, PUT, [(BLOCK1, b"\x08")], bytes(16))[0] == 0x5F
    assert ask(handler, PUT, [(BLOCK1, b"\x28")], bytes(16))[0] == 0x88  # the third block without the second
    assert ask(handler, PUT, [(BLOCK1, b"\x10")], bytes(16), "other")[0] == 0x88
    assert ask(handler, PUT, [(BLOCK1, b"\x08")], bytes(15))[0] == 0x80  # not a whole block
    assert ask(handler, PUT, [(BLOCK1, b"\x07")], bytes(16))[0] == 0x80  # SZX 7
    assert ask(handler, GET, [(BLOCK2, b"\x07")])[0] == 0x80
    assert ask(handler, POST, [(BLOCK2, b"\x10")])[0] == 0x88  # the second block of a response that was never requested
    assert ask(handler, GET, [(BLOCK2, b"\x50")])[0] == 0x80  # beyond the end


def test_the_client_adopts_a_smaller_block_size_of_the_server():
    """Section 2.3: block 1 of 32 bytes follows block 0 of 64 bytes; its number counts in the new size."""
    client = Endpoint(StoredResource(), Random(1))
    moving = Transfer(client, PUT, "shelf", bytes(200), 0, 2)
    request = decode(client.transmit())
    assert request.option(BLOCK1) == b"\x0a" and len(request.payload) == 64
    client.receive(Message(2, 0x5F, request.message_id, request.token, [(BLOCK1, b"\x09")]).encode(), 0)
    assert not moving.advance(0)
    request = decode(client.transmit())
    assert request.option(BLOCK1) == b"\x29" and len(request.payload) == 32


def test_a_get_requests_our_own_block_size():
    """Section 2.4. Otherwise libcoap's server over OpenSSL sends 1,024 bytes, which do not fit its own records."""
    client = Endpoint(StoredResource(), Random(1))
    Transfer(client, GET, "shelf", b"", 0)
    assert decode(client.transmit()).option(BLOCK2) == b"\x05"


def test_a_response_with_the_wrong_block_fails_the_transfer():
    for value in (b"\x18", b"\x0f"):  # block 1 instead of block 0, and SZX 7
        client = Endpoint(StoredResource(), Random(1))
        moving = Transfer(client, GET, "shelf", b"", 0)
        request = decode(client.transmit())
        client.receive(Message(2, CONTENT, request.message_id, request.token, [(BLOCK2, value)], bytes(16)).encode(), 0)
        assert moving.advance(0) and moving.response is None
