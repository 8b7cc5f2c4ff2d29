# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""CoAP exchanges between two endpoints, in virtual time: RFC 7252, sections 4 and 5, and RFC 7641."""

from asyncio import CancelledError

from support import raises

from dice._compat import ticks_add
from dice.coap.codes import ACK, CON, CONTENT, GET, NON, OBSERVE, POST, RST, URI_PATH
from dice.coap.exchange import Endpoint
from dice.coap.message import Message, decode, path_options, uint
from dice.errors import DATA, NONE, UsageError
from dice.limits import COAP_EXCHANGE_LIFETIME_MS, COAP_OPTIONS_MAX
from dice.reasons import E_QUEUE

SECOND = 1000
HALF_PERIOD = 1 << 29  # of the ticks of boards, in ms


class Random:
    """A repeatable random source: a linear congruential generator."""

    def __init__(self, seed=1):
        self.state = seed

    def __call__(self, count):
        data = bytearray()
        for _ in range(count):
            self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
            data.append(self.state >> 16 & 0xFF)
        return bytes(data)

    def half(self):
        """Return True half of the time."""
        return self(1)[0] < 128


class CountingHandler:
    """A handler that counts its requests and responds with the count."""

    def __init__(self, later=False):
        self.requests = []
        self.later = later

    def __call__(self, request, peer):
        self.requests.append(request)
        return None if self.later else (CONTENT, b"%d" % len(self.requests))


def pair(handler=None, seed=1):
    return Endpoint(CountingHandler(), Random(seed), "server"), Endpoint(handler or CountingHandler(), Random(seed + 1), "client")


def carry(one, two, now, lose=lambda: False):
    """Exchange datagrams both ways until none is left; return how many there were."""
    count = 0
    moved = True
    while moved:
        moved = False
        for sender, receiver in ((one, two), (two, one)):
            datagram = sender.transmit()
            if datagram:
                moved = True
                count += 1
                if not lose():
                    receiver.receive(datagram, now)
    return count


def test_a_response_is_piggybacked_on_the_acknowledgment():
    handler = CountingHandler()
    client, server = pair(handler)
    exchange = client.request(GET, "a/b", b"", now=0)
    assert not exchange.done
    assert carry(client, server, 0) == 2
    assert exchange.done and exchange.response.payload == b"1" and exchange.response.kind == ACK
    assert handler.requests[0].path() == "a/b"
    assert client.deadline() is None


def test_a_separate_response_is_sent_and_acknowledged_later():
    handler = CountingHandler(later=True)
    client, server = pair(handler)
    exchange = client.request(GET, "slow", now=0)
    assert carry(client, server, 0) == 2
    assert exchange.acknowledged and not exchange.done
    assert client.timeout(60 * SECOND) == NONE and client.transmit() is None
    answer = server.respond(handler.requests[0], (CONTENT, b"at last"), 61 * SECOND)
    assert carry(client, server, 61 * SECOND) == 2
    assert exchange.done and exchange.response.payload == b"at last" and exchange.response.kind == CON
    assert answer.done and answer.acknowledged


def test_a_non_confirmable_separate_response_is_not_acknowledged():
    client, _ = pair()
    exchange = client.request(GET, "slow", now=0)
    request = decode(client.transmit())
    assert client.receive(Message(NON, CONTENT, 9, request.token, (), b"x").encode(), 0) == DATA
    assert exchange.response.payload == b"x" and client.transmit() is None


def test_a_request_whose_separate_response_never_comes_ends_without_one():
    client, server = pair(CountingHandler(later=True))
    exchange = client.request(GET, "slow", now=0)
    carry(client, server, 0)
    assert client.timeout(client.deadline()) == DATA
    assert exchange.done and exchange.response is None


def test_a_separate_response_replaces_a_lost_acknowledgment():
    """Section 5.2.2: the response also acknowledges the request."""
    handler = CountingHandler(later=True)
    client, server = pair(handler)
    exchange = client.request(GET, "slow", now=0)
    server.receive(client.transmit(), 0)
    server.transmit()
    server.respond(handler.requests[0], (CONTENT, b"soon"), 0)
    carry(client, server, 0)
    assert exchange.done and exchange.response.payload == b"soon"
    assert client.timeout(client.deadline()) == NONE and client.deadline() is None


def test_retransmissions_back_off_exponentially_and_end():
    client, _ = pair()
    exchange = client.request(GET, "a", now=0)
    first = bytes(client.transmit())
    times = []
    while not exchange.done:
        due = client.deadline()
        assert client.timeout(due - 1) == NONE and client.transmit() is None
        event = client.timeout(due)
        times.append(due)
        datagram = client.transmit()
        if exchange.done:
            assert event == DATA and datagram is None
        else:
            assert bytes(datagram) == first
    assert len(times) == 5 and 2 * SECOND <= times[0] < 3 * SECOND
    gaps = [times[i + 1] - times[i] for i in range(4)]
    assert gaps == [times[0] * 2, times[0] * 4, times[0] * 8, times[0] * 16]
    assert exchange.response is None and not exchange.acknowledged


def test_a_repeated_request_is_answered_but_not_executed_again():
    handler = CountingHandler()
    client, server = pair(handler)
    exchange = client.request(POST, "a", now=0)
    datagram = client.transmit()
    for now in (0, 1000, 2000):
        server.receive(datagram, now)
    answers = [bytes(server.transmit()) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2] and server.transmit() is None
    assert len(handler.requests) == 1
    for answer in answers:
        client.receive(answer, 3000)
    assert exchange.response.payload == b"1" and client.dropped == 2
    server.receive(datagram, 300 * SECOND)  # by now the message id belongs to another message
    assert len(handler.requests) == 2


def test_a_message_id_is_forgotten_after_its_lifetime_also_past_half_a_period_of_ticks():
    """By then it belongs to another message; ticks that are compared after half a period say that it is young."""
    handler = CountingHandler()
    _, server = pair(handler)
    data = Message(CON, GET, 7, b"", path_options("a")).encode()
    for later in (HALF_PERIOD + SECOND, 2 * HALF_PERIOD, 2 * HALF_PERIOD + SECOND):
        server.receive(data, 5)
        due = server.deadline()
        assert due == 5 + COAP_EXCHANGE_LIFETIME_MS
        server.timeout(due - 1)
        assert server.deadline() == due
        server.timeout(due)
        assert server.deadline() is None
        count = len(handler.requests)
        moment = 5
        for _ in range(4):  # ticks_add() takes less than half a period
            moment = ticks_add(moment, later // 4)
        server.receive(data, moment)
        assert len(handler.requests) == count + 1
        server.timeout(server.deadline())


def test_only_the_last_eight_replies_are_remembered():
    handler = CountingHandler()
    _, server = pair(handler)
    for number in range(40):
        server.receive(Message(CON, GET, number, b"", path_options("a")).encode(), 0)
        server.transmit()
    for number, executed in ((32, 40), (39, 40), (31, 41)):
        server.receive(Message(CON, GET, number, b"", path_options("a")).encode(), 0)
        assert len(handler.requests) == executed and server.transmit(), number


def test_requests_are_transmitted_one_at_a_time():
    handler = CountingHandler()
    client, server = pair(handler)
    exchanges = [client.request(GET, "a", now=0) for _ in range(4)]
    raises(UsageError, E_QUEUE, client.request, GET, "a")
    assert client.transmit() and client.transmit() is None
    assert client.timeout(client.deadline()) == NONE  # the first was lost
    carry(client, server, 4000)
    assert [exchange.response.payload for exchange in exchanges] == [b"1", b"2", b"3", b"4"]


def test_forgetting_a_request_lets_the_next_one_proceed():
    client, server = pair()
    first = client.request(GET, "a", now=0)
    second = client.request(GET, "b", now=0)
    client.transmit()
    client.forget(first, 0)
    carry(client, server, 0)
    assert first.done and first.response is None and second.response.payload == b"1"


def test_ping_is_answered_by_a_reset():
    client, server = pair()
    exchange = client.ping(0)
    datagram = bytes(client.transmit())
    assert datagram[:2] == b"\x40\x00"
    server.receive(datagram, 0)
    assert carry(client, server, 0) == 1
    assert exchange.done and exchange.acknowledged


def test_a_non_confirmable_request_gets_one_non_confirmable_response():
    handler = CountingHandler()
    _, server = pair(handler)
    datagram = Message(NON, GET, 5, b"t", path_options("a")).encode()
    server.receive(datagram, 0)
    answer = decode(server.transmit())
    assert (answer.kind, answer.token, answer.payload) == (NON, b"t", b"1")
    server.receive(datagram, 1)
    assert len(handler.requests) == 1 and server.transmit() is None


def test_a_reset_ends_a_request_without_a_response():
    client, _ = pair()
    exchange = client.request(GET, "a", now=0)
    message_id = decode(client.transmit()).message_id
    assert client.receive(Message(RST, 0, message_id).encode(), 0) == DATA
    assert exchange.done and exchange.response is None


def test_responses_with_a_foreign_id_or_token_are_rejected():
    client, _ = pair()
    exchange = client.request(GET, "a", now=0)
    request = decode(client.transmit())
    for message in (
        Message(ACK, CONTENT, request.message_id + 1, request.token, (), b"x"),
        Message(ACK, CONTENT, request.message_id, b"no", (), b"x"),
        Message(ACK, GET, request.message_id, request.token),
        Message(NON, CONTENT, 9, b"no", (), b"x"),
    ):
        assert client.receive(message.encode(), 0) == NONE
    assert client.transmit() is None
    assert client.receive(Message(CON, CONTENT, 77, b"no", (), b"x").encode(), 0) == NONE
    assert decode(client.transmit()).kind == RST
    assert client.dropped == 5 and not exchange.done


def test_a_malformed_confirmable_message_is_reset():
    _, server = pair()
    assert server.receive(b"\x40\x01\x12\x34\xf0", 0) == NONE
    assert bytes(server.transmit()) == b"\x70\x00\x12\x34"
    server.receive(b"\x50\x01\x12\x34\xf0", 0)
    server.receive(b"", 0)
    assert server.transmit() is None and server.dropped == 3


def test_a_confirmable_message_with_too_many_options_is_reset():
    handler = CountingHandler()
    _, server = pair(handler)
    for kind, code in ((CON, RST), (NON, None)):
        data = Message(kind, GET, 7, b"t", [(URI_PATH, b"")] * (COAP_OPTIONS_MAX + 1)).encode()
        assert server.receive(data, 0) == NONE
        reply = server.transmit()
        assert (reply and decode(reply).kind) == code
    assert server.dropped == 2 and not handler.requests
    server.receive(Message(CON, GET, 8, b"t", [(URI_PATH, b"")] * COAP_OPTIONS_MAX).encode(), 0)
    assert decode(server.transmit()).code == CONTENT


def test_an_observer_that_raises_costs_its_notification_only():
    def observe(message):
        raise ValueError("a bug")

    client, _ = pair()
    exchange = client.request(GET, "t", b"", [(OBSERVE, b"")], 0, observe)
    request = decode(client.transmit())
    client.receive(Message(ACK, CONTENT, request.message_id, request.token, [(OBSERVE, b"\1")], b"0").encode(), 0)
    assert exchange.done
    client.receive(Message(CON, CONTENT, 9, request.token, [(OBSERVE, b"\2")], b"1").encode(), 0)
    assert decode(client.transmit()).kind == ACK and isinstance(client.error, ValueError)


def test_a_handler_that_raises_or_returns_a_wrong_type_gives_5_00():
    def broken(request, peer):
        raise ValueError("a bug")

    def cancelled(request, peer):
        raise CancelledError  # of a task whose result it asks for

    wrong = (broken, cancelled, lambda *_: "str", lambda *_: 5, lambda *_: (CONTENT, b"", 5))
    for handler in wrong:
        client, server = pair(handler)
        exchange = client.request(GET, "a", now=0)
        carry(client, server, 0)
        assert exchange.response.code == 0xA0 and exchange.response.payload == b""
        assert server.error


def test_both_endpoints_can_request_at_the_same_time():
    one, two = pair()
    first = one.request(GET, "a", now=0)
    second = two.request(GET, "b", now=0)
    carry(one, two, 0)
    assert first.response.payload == b"1" and second.response.payload == b"1"


def test_notifications_reach_the_observer_until_it_forgets_them():
    handler = CountingHandler()
    observer = []

    def observed(request, peer):
        observer.append(request)
        return CONTENT, b"0", [(OBSERVE, uint(1))]

    client, server = pair(observed)
    notified = []
    exchange = client.request(GET, "t", b"", [(OBSERVE, b"")], 0, lambda message: notified.append(message.payload))
    carry(client, server, 0)
    assert exchange.response.payload == b"0" and notified == []
    for number in (2, 3):
        notification = server.respond(observer[0], (CONTENT, b"%d" % number, [(OBSERVE, uint(number))]), 0)
        carry(client, server, 0)
        assert notification.acknowledged
    assert notified == [b"2", b"3"]
    client.forget(exchange, 0)
    notification = server.respond(observer[0], (CONTENT, b"4", [(OBSERVE, uint(4))]), 0)
    carry(client, server, 0)
    assert notified == [b"2", b"3"] and notification.done and not notification.acknowledged
    assert not handler.requests


def test_a_request_over_a_lossy_network_is_executed_at_most_once():
    """Half of all datagrams are lost. A request that was answered was executed."""
    answered = 0
    for seed in range(20):
        handler = CountingHandler()
        client, server = pair(handler, seed)
        random = Random(seed + 100)
        now = 0
        for _ in range(5):
            exchange = client.request(POST, "a", now=now)
            before = len(handler.requests)
            while not exchange.done:
                carry(client, server, now, random.half)
                if not exchange.done:
                    now = client.deadline()
                    client.timeout(now)
            assert len(handler.requests) <= before + 1, seed
            if exchange.response:
                assert exchange.response.payload == b"%d" % len(handler.requests), seed
                answered += 1
    assert 50 < answered < 100, answered


def test_random_datagrams_do_not_break_an_endpoint():
    one, two = pair()
    random = Random(9)
    good = bytes(Message(CON, GET, 3, b"tok", path_options("a"), b"x").encode())
    for _ in range(2000):
        at = random(1)[0] % len(good)
        one.receive(good[:at] + random(random(1)[0] % 20), 0)
        while one.transmit():
            pass
        one.timeout(0)
    exchange = one.request(GET, "a", now=0)
    carry(one, two, 0)
    assert exchange.response.payload == b"1"
