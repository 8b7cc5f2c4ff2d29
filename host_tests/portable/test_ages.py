# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Ages past half of the period of ticks, 2**29 ms or 6.2 days, and past all of it (invariant 8).

Time passes as on a board: whatever has a deadline is called then, and not sooner.
"""

from dtls_pair import drain, give
from support import A, RamStore, later, make_gsa, make_member, seal
from test_listener import client, exchange, listener

from dice._compat import ticks_add, ticks_diff
from dice.coap.exchange import Endpoint
from dice.coap.message import CON, CONTENT, GET, Message
from dice.dtls.resumption import Cookies, Tickets
from dice.errors import DATA, EXPIRED, NONE
from dice.limits import COAP_EXCHANGE_LIFETIME_MS, TICKET_PERIOD_MS

HALF = 1 << 29
AGES = (HALF - 1000, HALF + 5000, 2 * HALF - 1000, 2 * HALF + 5000)
DAY_MS = 86_400_000


def pass_time(core, now, ms):
    """Let `ms` pass; call timeout() at each deadline. Return the time then."""
    while True:
        due = core.deadline()
        wait = ms if due is None else min(ms, max(0, ticks_diff(due, now)))
        now = later(now, wait)
        ms -= wait
        if due is not None and ticks_diff(now, due) >= 0:
            core.timeout(now)
        if not ms:
            return now


def silent_for(ms):
    """Return what a listener of two sessions evicts, of which one was silent for `ms` and the other one sent just now."""
    server = listener(sessions_max=2)
    ends = {name: client() for name in (b"silent", b"heard")}
    for name, end in ends.items():
        exchange(end, server, name)
    now = later(0, ms)
    ends[b"heard"].send(b"x", now)
    for datagram in drain(ends[b"heard"]):
        assert server.receive(datagram, b"heard", now)[0] == DATA
    exchange(client(), server, b"new", now)
    return [peer.address for peer in server.sessions]


def test_the_session_that_was_silent_for_longest_is_evicted_however_long_that_is():
    for ms in AGES:
        assert silent_for(ms) == [b"heard", b"new"], ms


def test_an_idle_server_changes_its_secrets_all_the_time():
    """A cookie and a ticket are of no use after two periods, however long the server was idle."""
    server = listener(tickets=Tickets(lambda n: bytes(n), TICKET_PERIOD_MS, 0))
    now = pass_time(server, 0, DAY_MS)
    assert 0 < ticks_diff(server.deadline(), now) <= 60_000
    cookies = Cookies(iter_random(), 60_000, 0)
    hello = (b"", bytes(32), b"", cookies.make(b"a", (0, bytes(32), b"", b"", b""), 0), b"")
    assert cookies.verify(b"a", hello, 0)
    now = 0
    for _ in range(HALF // 60_000 + 2):  # as deadline() says
        now = ticks_add(now, 60_000)
        cookies.secrets(now)
    assert not cookies.verify(b"a", hello, now)


def iter_random():
    """Return random(n), which counts."""
    count = [0]

    def random(n):
        count[0] += 1
        return count[0].to_bytes(4, "big") + bytes(n - 4)

    return random


def test_a_coap_message_id_of_days_ago_belongs_to_another_message():
    """Also if nobody calls timeout(), as where no task waits for the session: except for 4 minutes in each 12.4 days."""
    for calls_timeout in (True, False):
        for ms in (COAP_EXCHANGE_LIFETIME_MS,) + (AGES if calls_timeout else AGES[:3]):
            handled = []
            endpoint = Endpoint(lambda request, _, handled=handled: handled.append(1) or (CONTENT, b""), lambda n: bytes(n))
            datagram = bytes(Message(CON, GET, 7, b"t").encode())
            endpoint.receive(datagram, 5)
            endpoint.receive(datagram, 5 + COAP_EXCHANGE_LIFETIME_MS - 1)
            assert len(handled) == 1
            now = pass_time(endpoint, 5, ms) if calls_timeout else later(5, ms)
            endpoint.receive(datagram, now)
            assert len(handled) == 2, (calls_timeout, ms)


def test_a_lifetime_of_weeks_ends_in_time():
    """A member sleeps between its deadlines; 20 days are 1.6 periods of ticks."""
    for lifetime_s in (6 * 86_400, 7 * 86_400, 20 * 86_400):
        member = make_member(A, lifetime_s=lifetime_s)
        now = pass_time(member, 0, 1000 * lifetime_s - 5000)
        assert seal(member, now=now)
        now = ticks_add(now, 6000)
        assert member.timeout(now) == EXPIRED
        assert member.receive(b"", now) == EXPIRED or member.held(1) is None


def test_a_member_without_a_lifetime_does_not_care_how_long_it_was_idle():
    store = RamStore()
    sender, receiver = make_member(A, store), make_member()
    now = 0
    for ms in AGES:
        now = later(now, ms)
        assert sender.timeout(now) == NONE and receiver.receive(seal(sender, now=now), now) == DATA


def test_the_grace_period_ends_after_a_silence_of_days():
    """The previous epoch is forgotten at its deadline; a member that is called days later has forgotten it too."""
    receiver = make_member(options={"grace_ms": 60_000})
    receiver.install(make_gsa(epoch=2), 0)
    receiver.activate(0)
    now = pass_time(receiver, 0, HALF + 5000)
    assert receiver.held(1) is None and receiver.held(2)
    assert receiver.deadline() is None and now == HALF + 5000


def test_a_session_that_is_idle_for_days_talks_on():
    for ms in AGES:
        server, end = listener(), client()
        exchange(end, server, b"a")
        now = pass_time(end, 0, ms)
        end.send(b"x", now)
        (datagram,) = drain(end)
        event, peer = server.receive(datagram, b"a", now)
        assert event == DATA
        peer.session.send(b"y", now)
        assert give(end, drain(peer.session), now) == [b"y"]
