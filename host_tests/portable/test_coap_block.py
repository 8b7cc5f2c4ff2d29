# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Block-wise transfers (RFC 7959) between two endpoints."""

from support import raises
from test_coap_exchange import Random, carry

from dice.coap.block import Blockwise, Transfer
from dice.coap.codes import ACK, BLOCK1, BLOCK2, CHANGED, CON, CONTENT, ETAG, GET, OBSERVE, POST, PUT, URI_QUERY
from dice.coap.exchange import Endpoint
from dice.coap.message import Message, decode, path_options, uint
from dice.errors import PeerError
from dice.reasons import E_BLOCKS


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


REQUEST_TAG = 292


def block(number, more, szx):
    return uint(number << 4 | more << 3 | szx)


class StatelessServer:
    """A server as most are: each block is cut from what the resource is at that moment. `versions` are (body, options)."""

    def __init__(self, *versions):
        self.versions = list(versions)
        self.asked = []

    def __call__(self, request, peer):
        body, options = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        value = request.option(BLOCK2)
        self.asked.append(value)
        number = int.from_bytes(value, "big") >> 4
        at = number * 64
        return CONTENT, body[at : at + 64], options + [(BLOCK2, block(number, at + 64 < len(body), 2))]


def read(server):
    """Return the Transfer of a GET of a body of a few blocks of 64 bytes."""
    near, far = Endpoint(None, Random(1)), Endpoint(server, Random(2))
    moving = Transfer(near, GET, "shelf", b"", 0, 2)
    while not moving.advance(0):
        assert carry(near, far, 0)
    return moving


OLD, NEW = (b"a" * 200, [(ETAG, b"1")]), (b"b" * 150, [(ETAG, b"2")])


def test_a_body_that_changes_is_read_again_once():
    """RFC 7959, section 2.4: a client MUST compare ETags. Also of one that appears, disappears, or that only a newer body has."""
    untagged = (b"c" * 200, [])
    for versions in ((OLD, NEW), (OLD, OLD, OLD, NEW), (OLD, untagged), (untagged, OLD), (OLD, NEW, OLD, NEW)):
        last = versions[-1]
        moving = read(StatelessServer(*versions))
        if versions[2:] == (OLD, NEW) and versions[1] is NEW:
            assert moving.done and moving.response is None, "two changes"
            raises(PeerError, E_BLOCKS, moving.result)
        else:
            assert moving.result().payload == last[0], versions
    assert read(StatelessServer(OLD)).result().payload == OLD[0]


def test_a_body_that_shrinks_to_one_message_is_read_again():
    """Block 1 is answered without Block2, or beyond the end, with an error: the error is what the application gets."""
    server = StatelessServer(OLD)
    calls = []

    def shrinks(request, peer):
        calls.append(1)
        return server(request, peer) if len(calls) == 1 else (CONTENT, b"short", [(ETAG, b"3")])

    assert read(shrinks).result().payload == b"short" and len(calls) == 3
    calls.clear()

    def ends(request, peer):
        calls.append(1)
        return server(request, peer) if len(calls) == 1 else (0x80, b"no such block")

    result = read(ends).result()
    assert (result.code, result.payload) == (0x80, b"no such block")


def test_the_response_to_a_post_is_not_requested_again():
    """Its effect would be repeated."""
    near, far = Endpoint(None, Random(1)), Endpoint(StatelessServer(OLD, NEW), Random(2))
    moving = Transfer(near, POST, "shelf", b"x", 0, 2)
    while not moving.advance(0):
        carry(near, far, 0)
    assert moving.response is None
    raises(PeerError, E_BLOCKS, moving.result)


def test_a_server_that_answers_each_block_gets_all_of_them():
    """Section 2.3: it keeps no state, and answers 2.04 instead of 2.31. The first answer is not the end of the upload."""
    parts = []

    def put(request, peer):
        parts.append(request.payload)
        return CHANGED, b"", [(BLOCK1, request.option(BLOCK1))]

    near, far = Endpoint(None, Random(1)), Endpoint(put, Random(2))
    body = bytes(range(200))
    moving = Transfer(near, PUT, "shelf", body, 0, 2)
    while not moving.advance(0):
        carry(near, far, 0)
    assert moving.result().code == CHANGED and b"".join(parts) == body
    for wrong in (b"\x03", b""):  # an answer with larger blocks, or to no block
        near = Endpoint(None, Random(1))
        moving = Transfer(near, PUT, "shelf", body, 0, 2)
        request = decode(near.transmit())
        options = [(BLOCK1, wrong)] if wrong else []
        near.receive(Message(ACK, CHANGED, request.message_id, request.token, options).encode(), 0)
        assert moving.advance(0) and near.transmit() is None
        raises(PeerError, E_BLOCKS, moving.result)


def by_query(request, peer):
    return CONTENT, (request.option(URI_QUERY) or b"?")[-1:] * 1200, [] if request.code == GET else [(ETAG, b"x")]


def test_blocks_are_joined_by_all_that_identifies_a_request():
    """Query, method, path, segments, Accept and other options of the Cache-Key; not by Observe, Size2 and the blocks themselves."""
    handler = Blockwise(by_query)

    def get(number, *options, path="log"):
        return ask(handler, GET, list(options) + [(BLOCK2, block(number, 0, 5))], path=path)

    one, two = (URI_QUERY, b"n=1"), (URI_QUERY, b"n=2")
    first, other = get(0, one), get(0, two)
    assert first[1] == b"1" * 512 and other[1] == b"2" * 512
    again = get(1, one)
    assert again[1] == b"1" * 512 and dict(again[2])[ETAG] == dict(first[2])[ETAG] != dict(other[2])[ETAG]
    assert get(2, two)[1] == b"2" * 176
    calls = []
    handler = Blockwise(lambda request, peer: (calls.append(request), (CONTENT, bytes(1200), [(OBSERVE, b"1")]))[1])
    assert OBSERVE in dict(get(0, (OBSERVE, b""))[2])
    for options in ((), ((28, b""),), ((60, b"9"),)):
        response = get(1, *options)
        assert OBSERVE not in dict(response[2]) and len(calls) == 1
    for options in (((17, b""),), (one,), (one, two), ((ETAG, b"x"),), ((REQUEST_TAG, b"x"),)):
        count = len(calls)
        assert get(1, *options)[0] == CONTENT and len(calls) == count + 1, options
    assert ask(handler, POST, [(BLOCK2, b"\x15")], path="log")[0] == 0x88


def test_the_blocks_of_two_uploads_are_not_joined():
    """Of two queries, of two Request-Tags (RFC 9175), and of a Transfer and another one with the same path."""
    for options in ([[(URI_QUERY, b"n=1")], [(URI_QUERY, b"n=2")]], [[(REQUEST_TAG, b"1")], []]):
        resource = StoredResource()
        handler = Blockwise(resource)
        for number, more in ((0, 1), (1, 0)):
            answers = [ask(handler, PUT, own + [(BLOCK1, block(number, more, 1))], bytes(32)) for own in options]
        assert [answer[0] for answer in answers] == [0x88, CHANGED] and resource.calls == 1, "the later one is kept"
    near = Endpoint(None, Random(1))
    one, two = [Transfer(near, PUT, "shelf", body * 200, 0, 2) for body in (b"1", b"2")]
    resource = StoredResource()
    far = Endpoint(Blockwise(resource, 2), Random(2))
    while not (one.done and two.done):
        carry(near, far, 0)
        one.advance(0), two.advance(0)
    assert resource.body in (b"", b"1" * 200, b"2" * 200)
    assert [moving.response.code for moving in (one, two)].count(0x88) >= 1


def test_an_answer_of_several_blocks_has_an_etag():
    """The handler's own, or a hash of the body. A short answer needs none."""
    resource = StoredResource(b"1" * 1200)
    tags = []
    for body in (b"1" * 1200, b"2" * 1200, b"1" * 1200, b"1" * 512):
        resource.body = body
        tags.append(dict(ask(Blockwise(resource), GET, [])[2]).get(ETAG))
    assert tags[0] == tags[2] != tags[1] and 1 <= len(tags[0]) <= 8 and tags[3] is None
    own = Blockwise(lambda request, peer: (CONTENT, bytes(1200), [(ETAG, b"own")]))
    assert [value for number, value in ask(own, GET, [])[2] if number == ETAG] == [b"own"]


def test_a_long_notification_is_no_body():
    """Its other blocks were not sent: the observer learns that the resource has changed."""
    near = Endpoint(None, Random(1))
    seen = []
    moving = Transfer(near, GET, "t", b"", 0, options=[(OBSERVE, b"")], observe=lambda m: seen.append((m.code, m.payload)))
    request = decode(near.transmit())
    assert request.option(OBSERVE) == b""
    options = [(OBSERVE, b"\1"), (ETAG, b"1"), (BLOCK2, block(0, 1, 5))]
    near.receive(Message(ACK, CONTENT, request.message_id, request.token, options, bytes(512)).encode(), 0)
    assert not moving.advance(0)
    second = decode(near.transmit())
    assert second.option(OBSERVE) is None and second.option(BLOCK2) == block(1, 0, 5)
    near.receive(Message(CON, CONTENT, 7, request.token, options, bytes(512)).encode(), 0)
    options = [(ETAG, b"1"), (BLOCK2, block(1, 0, 5))]
    near.receive(Message(ACK, CONTENT, second.message_id, second.token, options, b"end").encode(), 0)
    assert moving.advance(0) and moving.result().payload == bytes(512) + b"end"
    near.receive(Message(CON, CONTENT, 8, request.token, [(OBSERVE, b"\3")], b"short").encode(), 0)
    assert seen == [(0x88, b""), (CONTENT, b"short")]
