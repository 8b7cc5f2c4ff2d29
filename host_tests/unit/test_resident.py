# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A resident member on a host: its tasks and their ends, and its requests. The network and the manager are doubles."""

import asyncio
import errno
import threading
import types

import pytest

from dice.errors import LimitError, PeerError, UsageError
from dice.reasons import E_EXPIRED, E_NO_ANSWER, E_NOT_A_SENDER, E_REFUSED
from dicectl import system
from dicectl.errors import USAGE, CommandError
from dicectl.line_socket import NobodyServes
from dicectl.member import host_member, member_socket, resident
from dicectl.member.resident import Resident

AWAY = [
    PeerError(None, E_NO_ANSWER),
    OSError(errno.ENETUNREACH, "unreachable"),
    MemoryError(),
    UnicodeError("no host"),
    ValueError("x"),
]


class Context:
    epoch, own_id, own_next, id = 7, 3, 5, 3


class Group:
    """A group that has been joined: `events` are given by the iteration, `failures` raised by send(); `sent` are the messages."""

    def __init__(self, events=()):
        self.events = list(events)
        self.failures = []
        self.sent = []
        self.ended = None
        self.member = types.SimpleNamespace(held=lambda epoch: Context, accepted=0, dropped={})

    async def __anext__(self):
        if not self.events:
            await asyncio.sleep(3600)
        event = self.events.pop(0)
        if isinstance(event, BaseException):
            raise event
        return event

    async def send(self, message):
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(message)

    def close(self):
        self.ended = UsageError(17)


class Managed:
    """A double of ManagedGroup. `refusals` are what join() raises."""

    def __init__(self, group=None):
        self.group = None
        self.found = group
        self.refusals = []
        self.joined = self.resumed = 0
        self.routes = {}

    async def resume(self):
        self.resumed += 1
        self.group = self.found
        return self.group

    async def join(self, coap):
        self.joined += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return await self.resume()

    async def stay(self, coap):
        while not coap.ended:
            await asyncio.sleep(0.001)

    async def report(self, coap):
        pass

    def leave(self):
        self.group = None


class Session:
    ended = False
    connection = types.SimpleNamespace(recalled=None)

    def close(self):
        self.ended = True


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Return a function that makes a Resident in a folder, whose groups are doubles; it is not connected."""
    for name in ("_AGAIN_S", "_AGAIN_MAX_S", "_RESUME_S", "_SEND_AGAIN_S"):
        monkeypatch.setattr(resident, name, 0.001)
    monkeypatch.setattr(resident, "_SEND_S", 0.02)
    monkeypatch.setattr(resident, "_REFUSED_S", 0.001)
    (tmp_path / "node.json").write_text(
        '{"manager": {"host": "x", "port": 1}, "identity": "desk", "key": "00", "groups": ["lamps"]}'
    )
    (tmp_path / "node.json").chmod(0o600)
    monkeypatch.setattr(host_member, "ManagedGroup", lambda name, *_: made.doubles.setdefault(name, Managed(Group())))

    def made(*arguments, **options):
        member = Resident(tmp_path, *arguments, say=lambda event, **details: made.said.append((event, details)), **options)
        member.connect = made.connect
        return member

    async def connect():
        raise OSError(errno.ENETUNREACH, "unreachable")

    made.doubles, made.said, made.connect = {}, [], connect
    return made


async def until(condition):
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not happen")


def running(member, scenario):
    """Run a member while `scenario()` runs, then stop it; return the result of the scenario."""

    async def main():
        ready = asyncio.Event()
        task = asyncio.ensure_future(member.run(ready.set))
        await ready.wait()
        try:
            return await scenario()
        finally:
            member.do({"do": "stop"})
            await asyncio.wait_for(task, 60)
            assert not member_socket.path(member.folder).exists()

    return asyncio.run(main())


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_a_manager_that_is_away_is_tried_again(house, error):
    sessions = []

    async def connect():
        sessions.append(error if len(sessions) < 3 else None)
        if sessions[-1]:
            raise error
        member.coap = Session()

    house.connect = connect
    member = house()

    async def scenario():
        await until(lambda: house.doubles["lamps"].joined == 1)
        assert len(sessions) == 4 and member.do_status()["manager"]["connected"]
        member.coap.ended = True
        await until(lambda: house.doubles["lamps"].joined == 2)

    running(member, scenario)
    events = [event for event, _ in house.said]
    assert events.count("connected") == 2 and events.count("away") == 2, "it says each change once"


def test_a_group_that_ends_is_resumed_and_its_trouble_is_said_once(house):
    errors = [LimitError(E_EXPIRED), LimitError(E_EXPIRED), OSError(errno.ENODEV, "no device"), MemoryError(), (1, b"on")]
    house.doubles["lamps"] = Managed(Group(errors))
    member = house()

    async def scenario():
        await until(lambda: not errors and house.doubles["lamps"].resumed >= 4 and member.errors["lamps"] is None)

    house.doubles["lamps"].found.events = errors
    running(member, scenario)
    assert next(details["error"] for event, details in house.said if event == "trouble").startswith("E41")


def test_a_group_that_the_manager_refuses_costs_the_others_nothing(house, monkeypatch):
    house.doubles["lamps"] = Managed(Group())
    house.doubles["lamps"].refusals = [PeerError(None, E_REFUSED)] * 3
    released = asyncio.Event()
    monkeypatch.setattr(resident, "_REFUSED_S", 0.01)

    async def sleep(seconds, sleep=asyncio.sleep):
        if seconds == 0.01:
            await released.wait()
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def connect():
        member.coap = Session()

    house.connect = connect
    member = house(["lamps", "fans"])

    async def scenario():
        assert (await member.do({"do": "send", "group": "fans", "message": "on"}))["sent"]
        with pytest.raises(CommandError, match="not sent: the manager says that this is no member of lamps: E61"):
            await member.do({"do": "send", "group": "lamps", "message": "on"})
        released.set()
        await until(lambda: house.doubles["lamps"].joined == 4 and house.doubles["fans"].joined == 1)
        assert (await member.do({"do": "send", "group": "lamps", "message": "on"}))["sent"]

    running(member, scenario)


def test_a_manager_that_does_not_answer_is_connected_to_again(house, monkeypatch):
    """Its session has broken: that is no refusal, after which the group would be tried again in five minutes."""
    house.doubles["lamps"] = Managed(Group())
    house.doubles["lamps"].refusals = [PeerError(None, E_NO_ANSWER)]
    monkeypatch.setattr(resident, "_REFUSED_S", 300)
    sessions = []

    async def connect():
        member.coap = Session()
        sessions.append(member.coap)

    house.connect = connect
    member = house()

    async def scenario():
        await until(lambda: house.doubles["lamps"].joined == 2)
        assert len(sessions) == 2 and sessions[0].ended

    running(member, scenario)


def test_a_part_that_ends_ends_the_member_audibly(house):
    async def main(part):
        member = house()
        ready = asyncio.Event()
        task = asyncio.ensure_future(member.run(ready.set))
        await ready.wait()
        await asyncio.sleep(0)
        member._work[part].cancel()
        with pytest.raises(CommandError, match="the member ends, because a part of it has ended"):
            await asyncio.wait_for(task, 60)

    for part in (None, "lamps"):
        asyncio.run(main(part))


@pytest.mark.parametrize(
    "request_, message",
    [
        ({}, "does not know the request None"),
        ({"do": "fly"}, "does not know the request fly"),
        ({"do": "send"}, "does not understand the request send"),
        ({"do": "send", "group": "lamps", "odd": 1}, "does not understand the request send"),
        ({"do": "send", "group": "lamps"}, 'has a "message"'),
        ({"do": "send", "group": "lamps", "hex": "zz"}, 'has a "message"'),
        ({"do": "send", "group": "lamps", "message": 5}, 'has a "message"'),
        ({"do": "send", "group": "../lamps", "message": "on"}, "is not the name of a group"),
        ({"do": "send", "group": 5, "message": "on"}, "is not the name of a group"),
        ({"do": "monitor", "group": ""}, "is not the name of a group"),
        ({"do": "send", "group": "lamps", "message": "on", "interface": "eth9"}, "has --interface chosen by the system"),
        ({"do": "send", "group": "lamps", "message": "on", "hops": 3}, "has --hops 1"),
    ],
    ids=str,
)
def test_odd_requests_are_answered_in_one_line(house, request_, message):
    member = house()

    async def scenario():
        with pytest.raises(CommandError, match=message) as caught:
            await member.do(dict(request_))
        assert caught.value.exit_code == USAGE
        return await member.do({"do": "send", "group": "lamps", "hex": "6f6e"})

    assert running(member, scenario)["number"] == 4
    assert house.doubles["lamps"].found.sent == [b"on"]


def test_messages_are_sent_in_their_order_and_a_queue_is_bounded(house):
    member = house()
    most = resident._WAITING_MAX

    async def scenario():
        tasks = [asyncio.ensure_future(member.do({"do": "send", "group": "lamps", "message": str(n)})) for n in range(most + 5)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(each, CommandError) for each in done] == [False] * most + [True] * 5
        assert "64 messages to lamps are waiting already" in done[-1].message
        assert (await member.do({"do": "send", "group": "lamps", "message": "last"}))["sent"]

    running(member, scenario)
    assert house.doubles["lamps"].found.sent == [str(n).encode() for n in range(most)] + [b"last"]


def test_a_message_waits_a_little_for_a_network_and_says_what_failed(house):
    member = house()
    down = OSError(errno.ENETDOWN, "network is down")

    async def send():
        return await member.do({"do": "send", "group": "lamps", "message": "on"})

    async def scenario():
        group = house.doubles["lamps"].found
        group.failures = [down] * 3
        assert (await send())["sent"] and not group.failures
        group.failures = [down] * 1000
        with pytest.raises(CommandError, match="not sent: network: network is down"):
            await send()
        group.failures = [UsageError(E_NOT_A_SENDER), down]
        with pytest.raises(CommandError, match="not sent: E11"):
            await send()
        assert group.failures == [down], "a message that cannot be sent was tried twice"
        house.doubles["lamps"].found = house.doubles["lamps"].group = None
        with pytest.raises(CommandError, match="not sent: there are no keys of lamps yet, and the manager is away: network"):
            await send()

    running(member, scenario)


def test_a_new_member_waits_for_the_newest_keys_before_it_sends_but_not_long(house, monkeypatch):
    monkeypatch.setattr(resident, "KEPT_S", 0.02)
    order = []

    async def connect():
        await asyncio.sleep(3600 if order else 0.01)
        member.coap = Session()

    house.connect = connect
    house.doubles["lamps"] = double = Managed(Group())
    member = house()

    async def scenario():
        await member.do({"do": "send", "group": "lamps", "message": "on"})
        order.append(double.joined)

    running(member, scenario)
    assert order == [1]
    member = house()
    running(member, scenario)  # the manager does not answer
    assert double.found.sent == [b"on"] * 2


def test_monitors_are_bounded_and_their_places_are_given_back(house):
    member = house()

    async def scenario():
        streams = [member.do({"do": "monitor", "group": "lamps"}) for _ in range(resident._MONITORS_MAX)]
        with pytest.raises(CommandError, match="16 monitors are connected already"):
            member.do({"do": "monitor", "group": "lamps"})
        streams[0].ended()
        assert (await member.do({"do": "monitor", "group": "lamps"}).get())["group"] == "lamps"

    running(member, scenario)


def test_a_member_without_sockets_for_others_works_alone(house, monkeypatch):
    """On Windows. Commands then find no resident member, and join themselves."""
    monkeypatch.setattr(system, "WINDOWS", True)
    member = house()

    async def scenario():
        assert not member_socket.serves(member.folder)
        with pytest.raises(NobodyServes):
            member_socket.request(member.folder, "send")
        return await member.do({"do": "send", "group": "lamps", "message": "on"})

    assert running(member, scenario)["sent"]


# Names.


def test_a_name_server_that_is_away_holds_nobody_up(monkeypatch):
    """Nor the end of the program: nobody waits for the thread."""
    held = threading.Event()

    def getaddrinfo(host, port, type):
        if host == "slow":
            held.wait()
        raise OSError(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(host_member.socket, "getaddrinfo", getaddrinfo)
    assert asyncio.run(host_member.resolved("10.0.0.1", 5)) == ["10.0.0.1"]
    assert asyncio.run(host_member.resolved("fe80::1%eth0", 5)) == ["fe80::1%eth0"]
    with pytest.raises(OSError, match="Temporary failure"):
        asyncio.run(host_member.resolved("house", 5))
    with pytest.raises(asyncio.TimeoutError):
        asyncio.run(asyncio.wait_for(host_member.resolved("slow", 5), 0.01))
    held.set()
