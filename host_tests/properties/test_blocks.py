# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Block-wise transfers, searched: many at a time, with loss, reordering, late copies and resources that change between blocks.

Each success, on either side, is exactly one version of one resource for one query. The servers are our own, with one body held for
each session, and a foreign one that keeps no state and cuts each block from the present version. Every version has a body of its
own, in which each block tells whose it is.
"""

import random
import zlib

from dice.coap import block
from dice.coap.block import Blockwise, Transfer
from dice.coap.codes import BLOCK2, CHANGED, CONTENT, ETAG, GET, OBSERVE, POST, PUT, URI_PATH, URI_QUERY
from dice.coap.exchange import Endpoint
from dice.coap.message import Message, decode, uint
from dice.errors import UsageError
from host_tests.seeds import seeds

PATHS = ("a", "b", "a/b")
QUERIES = ((), ((URI_QUERY, b"n=1"),), ((URI_QUERY, b"n=2"),), ((URI_QUERY, b"n=1"), (URI_QUERY, b"n=2")))
BLOCK_SZX = 2  # 64 bytes
INCOMPLETE = 0x88


class Resources:
    """The resources of a server: by (path, queries), all versions that there were, as (first step, body)."""

    def __init__(self, chance):
        self.chance = chance
        self.step = 0
        self.versions = {}
        self.uploads = {}  # by (path, queries): all bodies that a client wanted to store
        self.stored = []  # ((path, queries), body) of each call of the handler
        self.number = 0

    def key(self, request):
        """Return (path, queries) of a request; the segments of the path stay apart."""
        return (
            "/".join(value.decode() for number, value in request.options if number == URI_PATH),
            tuple(option for option in request.options if option[0] == URI_QUERY),
        )

    def body(self, key):
        """Return a new body: 1 byte to 20 blocks, each of which has its number in it."""
        self.number += 1
        text = b"%s?%s#%d;" % (key[0].encode(), b"&".join(value for _, value in key[1]), self.number)
        return (text * 200)[: self.chance.choice((1, 64, 65, self.chance.randint(1, 1280)))]

    def current(self, key):
        """Return the newest version."""
        if key not in self.versions:
            self.change(key)
        return self.versions[key][-1][1]

    def change(self, key):
        """Begin a new version."""
        self.versions.setdefault(key, []).append((self.step, self.body(key)))

    def since(self, key, step):
        """Return the bodies that the resource had from a step on."""
        versions = self.versions[key]
        return [body for i, (_, body) in enumerate(versions) if i + 1 == len(versions) or versions[i + 1][0] >= step]

    def handle(self, request, session):
        """Answer as a program does: GET, PUT, and POST, whose answer is as long as the body."""
        key = self.key(request)
        if request.code == GET:
            return CONTENT, self.current(key)
        body = bytes(request.payload)
        self.stored.append((key, body))
        if request.code == PUT:
            self.versions.setdefault(key, []).append((self.step, body))
            return CHANGED, b""
        return CHANGED, b"<" + body + b">"

    def stateless(self, request, session):
        """Answer a GET as a server that holds nothing."""
        body = self.current(self.key(request))
        number = int.from_bytes(request.option(BLOCK2) or b"", "big")
        szx, number = min(number & 7, BLOCK_SZX), number >> 4
        at = number << szx + 4
        if at and at >= len(body):
            return 0x80, b""
        more = at + (16 << szx) < len(body)
        tag = uint(zlib.crc32(body))
        return CONTENT, body[at : at + (16 << szx)], [(ETAG, tag), (BLOCK2, uint(number << 4 | more << 3 | szx))]


class Scene:
    """One client and one server, and the datagrams between them."""

    def __init__(self, seed, own):
        self.chance = random.Random(seed)
        self.own = own
        self.resources = Resources(self.chance)
        self.now = 0
        self.keys = self.chance.sample([(path, queries) for path in PATHS for queries in QUERIES], self.chance.choice((2, 3, 12)))
        self.loss = self.chance.choice((0, 5, 25))
        self.air = []  # (to whom, datagram)
        self.transfers = []  # (Transfer, code, key, body, step of its beginning)
        self.observed = []  # requests that observe
        self.seen = []  # (key, message) of notifications
        self.outcomes = {"whole": 0, "failed": 0, "silent": 0, "refused": 0}
        handler = Blockwise(self.handle, BLOCK_SZX, 1400) if own else self.resources.stateless
        self.split = handler.split if own else None
        self.client = Endpoint(lambda request, session: None, self.chance.randbytes)
        self.server = Endpoint(handler, self.chance.randbytes)

    def handle(self, request, session):
        response = self.resources.handle(request, session)
        if request.option(OBSERVE) is not None and request not in self.observed:
            self.observed.append(request)
            return *response, [(OBSERVE, b"\1")]
        return response

    def begin(self):
        """Begin a transfer."""
        key = self.chance.choice(self.keys)
        code = self.chance.choice((GET, GET, PUT, POST)) if self.own else GET
        body, options, observe = b"", list(key[1]), None
        if code != GET:
            body = self.resources.body(key)
            self.resources.uploads.setdefault(key, []).append(body)
        elif self.own and self.chance.random() < 0.2:
            options.append((OBSERVE, b""))

            def observe(message):
                self.seen.append((key, message))

        try:
            transfer = Transfer(self.client, code, key[0], body, self.now, BLOCK_SZX, 1400, options, observe)
        except UsageError:
            return
        self.transfers.append((transfer, code, key, body, self.resources.step))

    def notify(self):
        """Notify an observer of what the resource is now."""
        if self.observed:
            request = self.chance.choice(self.observed)
            body = self.resources.current(self.resources.key(request))
            response = self.split(request, (CONTENT, body, [(OBSERVE, b"\2")]))
            try:
                self.server.respond(request, response, self.now)
            except UsageError:
                pass

    def carry(self):
        """Move datagrams onto the air, and some of it, not in order, to their receivers."""
        for one, other in ((self.client, self.server), (self.server, self.client)):
            datagram = one.transmit()
            while datagram:
                if self.chance.random() * 100 >= self.loss:
                    self.air.append((other, bytes(datagram)))
                datagram = one.transmit()
        if self.air:
            at = self.chance.randrange(len(self.air)) if self.loss else 0
            receiver, datagram = self.air.pop(at)
            receiver.receive(datagram, self.now)

    def advance(self):
        """Let finished exchanges go on, and check what has come of each transfer that is done."""
        for entry in list(self.transfers):
            transfer, code, key, body, began = entry
            try:
                done = transfer.advance(self.now)
            except UsageError:  # too many requests wait
                done = True
            if done:
                self.transfers.remove(entry)
                self.check(transfer, code, key, body, began)

    def check(self, transfer, code, key, body, began):
        response = transfer.response
        if response is None:
            self.outcomes["failed" if transfer.exchange.response else "silent"] += 1
        elif response.code >> 5 != 2:
            self.outcomes["refused"] += 1
        else:
            self.outcomes["whole"] += 1
            if code == GET:
                assert bytes(response.payload) in self.resources.since(key, began), "no version of this resource at this time"
            else:
                assert (key, body) in self.resources.stored, "told as stored"
                assert bytes(response.payload) == (b"" if code == PUT else b"<" + body + b">")

    def tick(self):
        """Let time pass to the next deadline."""
        deadlines = [end.deadline() for end in (self.client, self.server) if end.deadline() is not None]
        if deadlines:
            self.now = max(self.now, min(deadlines))
            for end in (self.client, self.server):
                end.timeout(self.now)

    def run(self, steps):
        """Do something at random, `steps` times; then wait until all has ended."""
        for _ in range(steps):
            self.resources.step += 1
            what = self.chance.random()
            if what < 0.08:
                self.begin()
            elif what < 0.12:
                self.resources.change(self.chance.choice(self.keys))
            elif what < 0.16 and self.own:
                self.notify()
            elif what < 0.2 and not self.air:
                self.tick()
            else:
                self.carry()
            self.advance()
        for _ in range(10_000):
            if not self.transfers and not self.air:
                break
            self.resources.step += 1
            self.carry()
            self.advance()
            if not self.air:
                self.tick()
        assert not self.transfers, "a transfer that never ends"
        for key, body in self.resources.stored:
            assert body in self.resources.uploads[key], "a body that nobody has sent"
        assert self.server.error is None, self.server.error
        for key, message in self.seen:
            bodies = [body for _, body in self.resources.versions[key]]
            assert message.payload in bodies or (message.code, message.payload) == (INCOMPLETE, b""), "no version of it"

    def still_reads(self):
        """Read all resources, one after the other, now that nothing changes or is lost."""
        self.loss = 0
        self.air.clear()
        for key in list(self.resources.versions):
            transfer = Transfer(self.client, GET, key[0], b"", self.now, BLOCK_SZX, 1400, key[1])
            while not transfer.advance(self.now):
                self.carry()
                if not self.air and not transfer.exchange.done:
                    self.tick()
            assert transfer.result().payload == self.resources.current(key), key


def search(count, own):
    """Run a scene for each seed; return the sums of their outcomes."""
    total = {}
    for seed in seeds(count):
        scene = Scene(seed, own)
        try:
            scene.run(600)
            scene.still_reads()
        except Exception as error:
            raise AssertionError(f"seed {seed}, {'our own' if own else 'a stateless'} server: {error!r}") from error
        for kind, number in scene.outcomes.items():
            total[kind] = total.get(kind, 0) + number
    return total


def test_what_our_server_and_client_deliver_is_one_version_of_one_resource():
    total = search(120, True)
    assert total["whole"] > 2 * total["refused"] and total["whole"] > 50 * (total["failed"] + total["silent"]), total


def test_what_a_stateless_server_delivers_is_one_version_of_one_resource():
    total = search(120, False)
    assert total["whole"] > 2 * total["failed"] and total["failed"], total


def hostile(seed):
    """Let an authenticated peer send anything to an endpoint that serves and requests; nothing escapes, all stays bounded."""
    chance = random.Random(seed)
    stored = []

    def handler(request, session):
        stored.append(len(request.payload))
        return chance.choice((None, (CONTENT, bytes(chance.choice((0, 64, 65, 3000)))), (CHANGED, b"", [(ETAG, b"own")])))

    blockwise = Blockwise(handler, BLOCK_SZX, 1400)
    end = Endpoint(blockwise, chance.randbytes)
    asked, now, transfer, seen = None, 0, None, []
    for _ in range(200):
        now += chance.choice((0, 1, 1000, 100_000))
        if transfer is None or transfer.done:
            code, body = chance.choice(((GET, b""), (PUT, bytes(300)), (POST, bytes(10))))
            options = [(OBSERVE, b"")] if code == GET and chance.random() < 0.5 else []
            try:
                transfer = Transfer(end, code, "a", body, now, BLOCK_SZX, 1400, options, seen.append)
            except UsageError:
                transfer = None
        datagram = end.transmit()
        while datagram:
            asked = decode(datagram) if datagram[1] and datagram[1] < 32 else asked
            datagram = end.transmit()
        kind, code = (
            chance.randrange(4),
            chance.choice((0, GET, PUT, POST, 0x44, 0x45, 0x5F, 0x80, 0x88, 0xA0, chance.randrange(256))),
        )
        values = [b"", chance.randbytes(1), uint(chance.randrange(40) << 4 | chance.choice((2, 10, 7))), chance.randbytes(4)]
        options = [(chance.choice((4, 6, 11, 15, 23, 23, 27, 27, 292)), chance.choice(values)) for _ in range(chance.randrange(4))]
        if chance.random() < 0.05:
            options *= 20
        known = asked is not None and chance.random() < 0.7
        message_id, token = (asked.message_id, asked.token) if known else (chance.randrange(20), chance.randbytes(2))
        data = Message(kind, code, message_id, token, options, bytes(chance.choice((0, 1, 32, 64, 1100)))).encode()
        if chance.random() < 0.1:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        end.receive(data, now)
        end.timeout(now)
        if transfer:
            try:
                transfer.advance(now)
            except UsageError:
                transfer = None
        assert len(end._queue) <= 4 and len(end._replies) <= 8 and len(end._out) <= 4
        held = blockwise._held
        assert held is None or len(held if isinstance(held, bytes) else held[1]) <= 3000
        assert end.error is None, end.error
    assert max(stored, default=0) <= 1400


def test_a_hostile_peer_makes_nothing_escape_or_grow():
    for seed in seeds(150):
        try:
            hostile(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error


def finds(own, *expected):
    """Check that a search fails with one of `expected`."""
    try:
        search(40, own)
    except AssertionError as error:
        assert any(words in str(error) for words in expected), error
    else:
        raise AssertionError("the search is blind")


def test_the_search_finds_a_client_that_compares_no_etags(monkeypatch):
    """As the first one did: it returned pieces of two versions as one body."""
    option = Message.option
    monkeypatch.setattr(Message, "option", lambda self, number: None if number == ETAG else option(self, number))
    finds(False, "no version of this resource")


def test_the_search_finds_a_server_that_joins_by_less(monkeypatch):
    """By method and path, as the first one did; and by all but the Request-Tag of uploads. ETags save what is read."""
    monkeypatch.setattr(block, "_key", lambda request: (request.code, request.path()))
    finds(True, "a body that nobody has sent", "told as stored")
    monkeypatch.setattr(
        block, "_key", lambda request: (request.code, [o for o in request.options if o[0] in (URI_PATH, URI_QUERY)])
    )
    finds(True, "a body that nobody has sent", "told as stored")
