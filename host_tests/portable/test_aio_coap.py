# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP over the messages of a session: tasks that request, respond and cancel.

Sessions are lists here; host_tests/interop has real ones.
"""

import asyncio

from memory_transport import run

from dice.aio.coap import Coap
from dice.coap.codes import CHANGED, CONTENT, ETAG, GET, OBSERVE, PUT, URI_QUERY
from dice.coap.message import uint
from dice.coap.resource import Router
from dice.errors import PeerError, UsageError
from dice.limits import COAP_QUEUE_MAX
from dice.reasons import E_BLOCKS


class FakeConnection:
    """The part of dice.aio.session.Connection that Coap uses. `other` receives its messages; the next `lose` are lost."""

    def __init__(self):
        self.messages = []
        self.changed = asyncio.Event()
        self.other = None
        self.lose = 0
        self.error = None
        self.closed = False

    async def send(self, message):
        if self.lose:
            self.lose -= 1
        elif self.other:
            self.other.messages.append(bytes(message))
            self.other.changed.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.messages:
            if self.error:
                raise self.error
            if self.closed:
                raise StopAsyncIteration
            self.changed.clear()
            await self.changed.wait()
        return self.messages.pop(0)

    def close(self):
        for end in (self, self.other):
            end.closed = True
            end.changed.set()


def pair(routes, others=None, **options):
    """Return (client, server, client's connection, server's connection)."""
    one, two = FakeConnection(), FakeConnection()
    one.other, two.other = two, one
    return Coap(one, Router(others or {}), **options), Coap(two, Router(routes), **options), one, two


SHELF = {"shelf": {GET: lambda request, peer: (CONTENT, bytes(1200)), PUT: lambda request, peer: (CHANGED, b"")}}


def test_both_peers_can_request_at_the_same_time():
    async def main():
        one, two, _, _ = pair(
            {"a": {GET: lambda request, peer: (CONTENT, b"1")}}, {"b": {GET: lambda request, peer: (CONTENT, b"2")}}
        )
        first, second = await asyncio.gather(one.request(GET, "a"), two.request(GET, "b"))
        assert (first.payload, second.payload) == (b"1", b"2")
        one.close()
        await two.closed()
        assert two.ended

    run(main)


def test_a_lost_request_is_retransmitted_until_answered():
    async def main():
        one, _, end, _ = pair(SHELF, blockwise=True, ack_timeout_ms=20)
        end.lose = 2
        response = await one.request(GET, "shelf")
        assert len(response.payload) == 1200
        one.close()

    run(main)


def test_an_unanswered_request_returns_none():
    async def main():
        one, _, end, _ = pair(SHELF, ack_timeout_ms=2)
        end.lose = 1000
        assert await one.request(GET, "shelf") is None
        one.close()

    run(main)


def test_a_cancelled_transfer_lets_the_next_request_proceed():
    """Also in the middle of a block-wise transfer: the next request in the queue is transmitted at once."""

    async def main():
        one, _, end, _ = pair(SHELF, blockwise=True)
        task = asyncio.create_task(one.request(PUT, "shelf", bytes(4000)))
        for _ in range(6):
            await asyncio.sleep(0)
        end.lose = 1  # the next block is lost, so no response arrives
        await asyncio.sleep(0.05)
        task.cancel()
        try:
            await task
            raise AssertionError("was not cancelled")
        except asyncio.CancelledError:
            pass
        end.lose = 0
        assert one.endpoint.deadline() is None
        task = asyncio.create_task(one.request(PUT, "shelf", b"x"))
        for _ in range(100):  # which take much less time than a retransmission
            await asyncio.sleep(0)
        assert task.done()
        assert (await task).code == CHANGED
        one.close()

    run(main)


def test_notifications_are_delivered_with_blockwise_enabled():
    async def main():
        asked = []

        def observe(request, peer):
            asked.append(request)
            return CONTENT, b"1", [(OBSERVE, uint(1))]

        one, two, _, _ = pair({"t": {GET: observe}}, blockwise=True)
        received = []
        response = await one.request(GET, "t", options=[(OBSERVE, b"")], observe=lambda message: received.append(message.payload))
        assert response.payload == b"1"
        assert await two.respond(asked[0], (CONTENT, b"2", [(OBSERVE, uint(2))]))
        assert received == [b"2"]
        one.close()

    run(main)


ECHO = {"echo": {PUT: lambda request, peer: (CHANGED, request.payload)}}
TASKS = 3 * COAP_QUEUE_MAX


def test_requests_of_more_tasks_than_the_queue_holds_wait_for_their_place():
    """The groups of a device share its session with the manager, and do not know of each other. Some datagrams are lost."""

    async def main(blockwise):
        one, _, end, other = pair(ECHO, blockwise=blockwise, ack_timeout_ms=5)
        end.lose = other.lose = 2
        done = await asyncio.gather(*[one.request(PUT, "echo", b"%d" % i) for i in range(TASKS)])
        assert sorted([int(response.payload) for response in done]) == list(range(TASKS))
        assert one.endpoint.deadline() is None and not one.endpoint.is_full()
        one.close()

    run(main, False)
    run(main, True)


def test_a_request_that_is_cancelled_leaves_its_place_at_once():
    async def main(blockwise, cancelled):
        one, _, end, _ = pair(ECHO, blockwise=blockwise)
        end.lose = 1
        tasks = [asyncio.create_task(one.request(PUT, "echo", b"%d" % i)) for i in range(TASKS)]
        await asyncio.sleep(0.01)
        for i in cancelled:
            tasks[i].cancel()
        for _ in range(40 * TASKS):  # which take much less time than a retransmission
            await asyncio.sleep(0)
        for i, task in enumerate(tasks):
            assert task.done(), (blockwise, cancelled, i)
            try:
                assert (await task).payload == b"%d" % i
            except asyncio.CancelledError:
                assert i in cancelled
        one.close()

    for cancelled in ((0,), (0, 1, COAP_QUEUE_MAX), (TASKS - 1, COAP_QUEUE_MAX, 2, 0)):
        run(main, False, cancelled)
        run(main, True, cancelled)


def test_a_session_that_ends_ends_all_that_wait_for_their_place():
    async def main(blockwise, error):
        one, two, end, _ = pair(ECHO, blockwise=blockwise)
        end.lose = 1000
        tasks = [asyncio.create_task(one.request(PUT, "echo", b"1")) for _ in range(TASKS)]
        await asyncio.sleep(0.01)
        if error:
            end.error = error
            end.changed.set()
        else:
            one.close()
        for task in tasks:
            try:
                assert await task is None and not error
            except PeerError as raised:
                assert raised is error
        two.close()

    for blockwise in (False, True):
        run(main, blockwise, None)
        run(main, blockwise, PeerError(80, 50))


def test_the_next_block_and_the_next_transfer_wait_for_a_place_that_others_have_taken():
    async def main():
        asked = []
        one, two, _, _ = pair({"t": {GET: lambda request, peer: asked.append(request)}}, ECHO, blockwise=True)
        waiting = asyncio.create_task(one.request(GET, "t"))
        while not asked:
            await asyncio.sleep(0)
        transfers = [asyncio.create_task(two.request(PUT, "echo", bytes(1200))) for _ in range(2)]
        await asyncio.sleep(0)

        async def answer():
            while two.endpoint.is_full():
                await asyncio.sleep(0)
            await two.respond(asked[0], (CONTENT, b"2"))

        await asyncio.gather(*[answer() for _ in range(TASKS)])
        for transfer in transfers:
            assert (await transfer).payload == bytes(1200)
        assert (await waiting).payload == b"2"
        one.close()

    run(main)


def test_a_broken_session_raises_in_the_waiting_request():
    async def main():
        one, _, end, _ = pair(SHELF)
        end.lose = 1000
        task = asyncio.create_task(one.request(GET, "shelf"))
        await asyncio.sleep(0)
        end.error = PeerError(80, 50)
        end.changed.set()
        try:
            await task
            raise RuntimeError
        except PeerError:
            pass
        one.close()

    run(main)


def test_what_a_datagram_causes_costs_that_datagram_only():
    """A lack of memory, or a response that is too long for the session."""

    async def main():
        one, two, _, end = pair({"a": {GET: lambda request, peer: (CONTENT, b"1")}})
        receive = two.endpoint.receive

        def fails(datagram, now):
            two.endpoint.receive = receive
            raise MemoryError

        two.endpoint.receive = fails
        task = asyncio.create_task(one.request(GET, "a"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert isinstance(two.endpoint.error, MemoryError) and not two.ended
        task.cancel()
        await asyncio.sleep(0.01)
        send = end.send

        async def too_long(message):
            end.send = send
            raise UsageError(10)

        end.send = too_long
        task = asyncio.create_task(one.request(GET, "a"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert isinstance(two.endpoint.error, UsageError) and not two.ended
        task.cancel()
        await asyncio.sleep(0.01)
        assert (await one.request(GET, "a")).payload == b"1"
        one.close()

    run(main)


def test_concurrent_uploads_and_reads_of_one_session_do_not_mix():
    """A server holds one body at a time: the transfers of a Coap wait for each other, and each has its query."""

    async def main():
        stored = []

        def put(request, peer):
            stored.append(bytes(request.payload))
            return CHANGED, b""

        def get(request, peer):
            return CONTENT, request.option(URI_QUERY) * 300

        one, _, _, _ = pair({"shelf": {PUT: put, GET: get}}, blockwise=True)
        bodies = [b"%d" % i * 1200 for i in range(3)]
        queries = [b"n=%d" % i for i in range(3)]
        work = [one.request(PUT, "shelf", body) for body in bodies]
        work += [one.request(GET, "shelf", options=[(URI_QUERY, query)]) for query in queries]
        done = await asyncio.gather(*work)
        assert stored == bodies and [response.code for response in done[:3]] == [CHANGED] * 3
        assert [response.payload for response in done[3:]] == [query * 300 for query in queries]
        one.close()

    run(main)


def test_a_resource_that_changes_twice_while_it_is_read_raises():
    async def main():
        count = [0]

        def get(request, peer):
            count[0] += 1
            return CONTENT, b"%d" % (count[0] & 7) * 1200, [(ETAG, b"%d" % count[0])]

        one, two, _, _ = pair({"shelf": {GET: get}}, blockwise=True)
        hold = two._blocks.split

        def forgets(request, response):
            block = hold(request, response)
            two._blocks._request = None  # as a server that keeps no state
            return block

        two._blocks.split = forgets
        try:
            await one.request(GET, "shelf")
            raise RuntimeError
        except PeerError as error:
            assert error.reason == E_BLOCKS
        two._blocks.split = hold
        assert len((await one.request(GET, "shelf")).payload) == 1200
        one.close()

    run(main)


def test_separate_responses_and_notifications_may_take_several_blocks():
    async def main():
        asked = []
        one, two, _, _ = pair({"t": {GET: lambda request, peer: asked.append(request)}}, blockwise=True)
        seen = []
        task = asyncio.create_task(one.request(GET, "t", options=[(OBSERVE, b"")], observe=lambda m: seen.append(m.code)))
        while not asked:
            await asyncio.sleep(0)
        assert await two.respond(asked[0], (CONTENT, b"1" * 1200, [(OBSERVE, b"\1")]))
        assert (await task).payload == b"1" * 1200
        assert await two.respond(asked[0], (CONTENT, b"2" * 1200, [(OBSERVE, b"\2")]))
        assert seen == [0x88]
        one.close()

    run(main)
