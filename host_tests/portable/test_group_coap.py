# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP requests to a group: their encoding, who responds, when, and over which channel. Groups and sessions are lists here."""

import asyncio

from memory_transport import run
from test_aio_coap import pair
from test_coap_exchange import Random

from dice.aio.group_coap import Responder, request_group
from dice.coap import multicast
from dice.coap.codes import CHANGED, CON, CONTENT, GET, NON, PUT
from dice.coap.message import Message, decode, path_options
from dice.coap.multicast import ANSWER_OVER
from dice.coap.resource import Router
from dice.errors import UsageError
from dice.group.gsa import checksum
from dice.limits import COAP_LEISURE_MS, MESSAGES_MAX

LAMP = Router(
    {
        "lamp": {GET: lambda request, sender: (CONTENT, b"on %d" % sender), PUT: lambda request, sender: (CHANGED, b"")},
        "silent": {GET: lambda request, sender: (CONTENT, b"")},
        "broken": {GET: lambda request, sender: 1 // 0},
    }
)


def test_a_group_request_and_its_responses_are_encoded_as_documented():
    random = Random(3)
    data, token = multicast.request(GET, "lamp", b"", random)
    asked = multicast.parse(data)
    answer = multicast.encode(asked, multicast.respond(asked, LAMP, 1), random)
    found = multicast.responses({7: answer, 8: b"junk", 9: data}, token)
    assert list(found) == [7] and found[7].payload == b"on 1"
    assert multicast.responses({7: answer}, b"other") == {}
    for path in ("nowhere", "silent"):
        assert multicast.respond(multicast.parse(multicast.request(GET, path, b"", random)[0]), LAMP, 1) is None
    for other in (b"", b"on", b"junk", Message(CON, GET, 1, b"", path_options("lamp")).encode(), answer):
        assert multicast.parse(other) is None
    assert asked.option(ANSWER_OVER) is None
    named = multicast.parse(multicast.request(GET, "lamp", b"", random, b"tablet")[0])
    assert named.option(ANSWER_OVER) == b"tablet" and named.path() == "lamp"


def test_responses_are_spread_over_the_leisure_period():
    random = Random(4)
    delays = [multicast.delay_ms(random, 1000) for _ in range(100)]
    assert min(delays) < 200 and max(delays) > 800 and max(delays) < 1000
    assert multicast.delay_ms(random, 0) == 0
    assert 0 <= multicast.delay_ms(random) < COAP_LEISURE_MS


class FakeGroup:
    """The part of dice.Group that group_coap uses. `members` are called with each request."""

    def __init__(self, *members):
        self.members = members
        self.asked = ()
        self.answers = []

    async def ask(self, message, wait_ms):
        for member in self.members:
            member(bytes(message))
        await asyncio.sleep(wait_ms / 1000)
        return dict(self.answers)

    async def answer(self, message, asked):
        if not asked:
            raise UsageError(70)
        self.answers.append((asked, bytes(message)))


class FakeMember:
    """A member of a FakeGroup that responds as `number`."""

    def __init__(self, group, number, sessions=None):
        self.group = group
        self.number = number
        self.responder = Responder(group, LAMP, sessions, 0)

    def __call__(self, message):
        self.group.asked = self.number
        self.responder.respond(5, message)


def test_members_respond_with_response_keys():
    async def main():
        group = FakeGroup()
        group.members = [FakeMember(group, number) for number in (2, 3)]
        found = await request_group(group, GET, "lamp", wait_ms=50)
        assert {who: message.payload for who, message in found.items()} == {2: b"on 5", 3: b"on 5"}
        for path in ("nowhere", "silent", "broken"):
            group.answers.clear()
            assert await request_group(group, GET, path, wait_ms=20) == {}
        assert isinstance(group.members[0].responder.error, ZeroDivisionError)
        assert not group.members[0].responder.respond(5, b"on")

    run(main)


def test_a_member_responds_over_the_requesters_session_if_it_has_one():
    """Two members have a session with the requester, one has none. An ended session does not count."""

    async def main():
        one, server_one, _, _ = pair({})
        two, server_two, _, _ = pair({})
        group = FakeGroup()
        group.members = [
            FakeMember(group, 2, {b"tablet": server_one}),
            FakeMember(group, 3, {b"other": server_one}),
            FakeMember(group, 4, {b"tablet": server_two}),
        ]
        found = await request_group(group, GET, "lamp", wait_ms=50, identity=b"tablet", sessions=(one, two))
        assert {who: message.payload for who, message in found.items()} == {one: b"on 5", two: b"on 5", 3: b"on 5"}
        assert [who for who, _ in group.answers] == [3], "a response over a session was sent with response keys too"
        group.answers.clear()
        two.close()
        await server_two.closed()
        found = await request_group(group, GET, "lamp", wait_ms=50, identity=b"tablet", sessions=(one,))
        assert set(found) == {one, 3, 4}
        group.answers.clear()
        assert set(await request_group(group, GET, "lamp", wait_ms=50)) == {2, 3, 4}, "the request named no session"
        one.close()

    run(main)


def test_a_session_response_with_another_token_is_rejected():
    """Also a late response, when nobody waits any more."""

    async def main():
        one, server, _, _ = pair({})
        message, _ = multicast.request(GET, "lamp", b"", Random(5))
        asked = multicast.parse(message)
        group = FakeGroup(lambda _: asyncio.create_task(server.respond(asked, (CONTENT, b"false"))))
        assert await request_group(group, GET, "lamp", wait_ms=50, identity=b"tablet", sessions=(one,)) == {}
        sent = []
        group.members = [lambda data: sent.extend((multicast.parse(data), checksum(data, 8)))]
        assert await request_group(group, GET, "lamp", wait_ms=20, identity=b"tablet", sessions=(one,)) == {}
        dropped = one.endpoint.dropped
        sent[0].token = sent[1]
        assert not await server.respond(sent[0], (CONTENT, b"late"))
        assert one.endpoint.dropped == dropped + 1
        one.close()

    run(main)


def test_a_session_response_to_a_request_of_somebody_else_is_rejected():
    """A member copies the Token of a request, and names the session of its requester: the answer to its own question."""

    async def main():
        one, server, _, _ = pair({})
        group = FakeGroup()
        member = FakeMember(group, 2, {b"tablet": server})

        def copy(message):
            asked = multicast.parse(message)
            for path, payload in (("other", b""), ("lamp", b"!")):
                options = path_options(path) + [(ANSWER_OVER, b"tablet")]
                member(Message(NON, GET, asked.message_id, asked.token, options, payload).encode())

        member.responder._handler = lambda request, sender: (
            CONTENT,
            b"99.9" if request.path() == "other" or request.payload else b"20",
        )
        group.members = [copy]
        assert await request_group(group, GET, "lamp", wait_ms=50, identity=b"tablet", sessions=(one,)) == {}
        assert one.endpoint.dropped == 2
        group.members = [copy, member]
        found = await request_group(group, GET, "lamp", wait_ms=50, identity=b"tablet", sessions=(one,))
        assert {who: message.payload for who, message in found.items()} == {one: b"20"}
        one.close()

    run(main)


def test_a_flood_of_requests_is_executed_but_answered_only_up_to_the_limit():
    async def main():
        group = FakeGroup()
        executed = []

        def handle(message, sender):
            executed.append(sender)
            return CONTENT, b"x"

        responder = Responder(group, handle, None, 30)
        for number in range(5 * MESSAGES_MAX):
            group.asked = number + 1
            assert responder.respond(5, multicast.request(GET, "lamp", b"", Random(number))[0])
        await asyncio.sleep(0.1)
        assert len(executed) == 5 * MESSAGES_MAX and len(group.answers) == MESSAGES_MAX
        assert all(decode(data).payload == b"x" for _, data in group.answers)
        group.asked = 77
        responder.respond(5, multicast.request(GET, "lamp", b"", Random(9))[0])
        await asyncio.sleep(0.1)
        assert group.answers[-1][0] == 77, "no room for later requests"

    run(main)


def test_a_lack_of_memory_costs_one_request():
    """In parsing, in the handler and in sending the response."""

    async def main():
        group = FakeGroup()
        short = [True]

        def handle(message, sender):
            if short[0]:
                raise MemoryError
            return CONTENT, b"x"

        responder = Responder(group, handle, None, 0)
        request = multicast.request(GET, "lamp", b"", Random(1))[0]
        assert responder.respond(5, request) and isinstance(responder.error, MemoryError)
        short[0] = False
        group.answer = None  # what raises a TypeError
        assert responder.respond(5, request)
        await asyncio.sleep(0.02)
        assert isinstance(responder.error, TypeError)
        del group.answer
        parse, multicast.parse = multicast.parse, lambda data: bytearray(1 << 62)
        try:
            assert not responder.respond(5, request)
        finally:
            multicast.parse = parse
        assert isinstance(responder.error, (MemoryError, OverflowError))
        group.asked = 9
        assert responder.respond(5, request)
        await asyncio.sleep(0.02)
        assert [who for who, _ in group.answers] == [9]

    run(main)
