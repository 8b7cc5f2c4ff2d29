# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of the key deliveries of dice.aio.kdc, with members that are doubles."""

import asyncio
import gc
import os
from types import SimpleNamespace

import pytest

from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.coap.codes import BAD_REQUEST, CHANGED, CON, CONFLICT, CONTENT, GET, POST, PUT, URI_PATH
from dice.coap.message import Message, path_options
from dice.group.gsa import K08, decode
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dice.limits import KDC_REQUESTS_MAX, KDC_REQUESTS_PERIOD_MS
from dicectl.net.virtual import VirtualNetwork


class FakeMember:
    """A connected member that installs a GSA at once, and enters the next epoch when `let` is set."""

    def __init__(self):
        self.let = asyncio.Event()
        self.asked = asyncio.Event()
        self.bodies = []

    async def request(self, code, path, payload):
        if code == POST:
            self.asked.set()
            await self.let.wait()
        else:
            self.bodies.append(payload)
        return SimpleNamespace(code=CHANGED, payload=b"")


def group(roles):
    """Return (Manager, Kdc) of a group with these members, {identity: role}, all connected."""
    manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now())
    for identity, role in roles.items():
        manager.add([identity], role, now())
    kdc = Kdc()
    kdc.add(manager)
    kdc.connected.update({identity: FakeMember() for identity in roles})
    kdc.changed("lamps")
    return manager, kdc


async def until(reached):
    """Wait until `reached()`."""
    while not reached():
        await asyncio.sleep(0.01)


def test_an_epoch_is_unsettled_until_all_members_have_entered_it():
    """F1: until then they send or obey in the previous epoch, in which an expelled member can send, and which it can read."""

    async def main():
        manager, kdc = group({b"switch": SENDER, b"gone": SENDER, b"lamp": LISTENER})
        del kdc.connected[b"gone"]
        manager.acknowledge(b"gone", 2, now())
        switch, lamp = kdc.connected[b"switch"], kdc.connected[b"lamp"]
        await until(lambda: switch.asked.is_set() and lamp.asked.is_set())
        assert manager.state.active and kdc.not_activated("lamps") == [b"switch", b"lamp"]
        switch.let.set()
        await until(lambda: kdc.not_activated("lamps") == [b"lamp"])
        lamp.let.set()
        await until(lambda: kdc.not_activated("lamps") == [])  # it does not wait for a member that is not connected
        assert not kdc.settled("lamps")
        kdc.close()

    asyncio.run(main())


def test_who_gets_an_active_epoch_is_told_so_and_given_no_grace_after_an_expulsion():
    """F4."""

    async def main():
        manager, kdc = group({b"switch": SENDER, b"gone": SENDER, b"lamp": LISTENER})
        lamp = kdc.connected.pop(b"lamp")
        await until(lambda: kdc.connected[b"switch"].bodies)
        manager.remove([b"gone"], now())
        manager.rekey(now())  # its own grace period would be a minute
        while not manager.state.active:
            manager.timeout(manager.deadline())
        kdc.connected[b"lamp"] = lamp
        kdc.changed("lamps")
        await until(lambda: lamp.bodies)
        assert lamp.bodies[-1][:2] == b"\0\1" and decode(lamp.bodies[-1][2:]).epoch == 4
        kdc.close()

    asyncio.run(main())


def test_the_report_of_a_node_of_before_counts_without_forged():
    async def main():
        manager, kdc = group({b"switch": SENDER})
        report = kdc._deliveries["lamps"].routes["ace-group/lamps/node"][POST]
        for payload in (b"\0\1" + bytes(7) + b"\x46\0", b"\0\1" + bytes(7) + b"\x47\2" + bytes(4)):
            assert report(SimpleNamespace(payload=payload), b"switch") == (CHANGED, b"\0\1")
        assert manager.state.members[b"switch"].sent == 0x47 and kdc.settled("lamps")
        for payload in (b"\0\1", bytes(12), bytes(16)):
            assert report(SimpleNamespace(payload=payload), b"switch") == (BAD_REQUEST, b"")
        kdc.close()

    asyncio.run(main())


def test_the_links_of_a_member_are_those_of_its_groups():
    """Any enrolled device could read the names of all groups."""

    async def main():
        kdc = Kdc()
        for name, member in (("lamps", b"switch"), ("safe", b"guard")):
            manager = Manager(
                GroupState(name, b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now()
            )
            manager.add([member], SENDER, now())
            kdc.add(manager)
        request = Message(CON, GET, 1, b"", path_options(".well-known/core"))
        links = {identity: kdc._answer(request, identity)[1] for identity in (b"switch", b"guard", b"stranger")}
        assert links[b"switch"] == b"</ace-group/lamps>,</ace-group/lamps/node>,</ace-group/lamps/num>"
        assert links[b"guard"] == links[b"switch"].replace(b"lamps", b"safe") and links[b"stranger"] == b""
        request.options = [(URI_PATH, b".well-known/core")]  # in one piece
        assert kdc._answer(request, b"stranger")[1] == b""
        kdc.close()

    asyncio.run(main())


def test_a_client_that_floods_the_service_gets_4_29():
    """Its requests cost next to nothing then, also in a new session, and others are served. The next period is a new one."""

    async def main():
        manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state, change: None, os.urandom, now())
        manager.add([b"switch", b"greedy"], SENDER, now())
        kdc = Kdc()
        kdc.add(manager)

        def ask(identity):
            return kdc._answer(Message(CON, GET, 1, b"", path_options("ace-group/lamps/num")), identity)[0]

        for _ in range(2):
            assert [ask(b"greedy") for _ in range(KDC_REQUESTS_MAX + 5)] == [CONTENT] * KDC_REQUESTS_MAX + [0x9D] * 5
            assert ask(b"switch") == CONTENT
            await asyncio.sleep(KDC_REQUESTS_PERIOD_MS / 1000)
        kdc.close()

    VirtualNetwork(lambda sides: 0).run(main)


def test_a_member_that_did_not_take_the_last_epoch_gets_the_next_one_at_once():
    """It was about to join. The wait before an epoch is tried again does not delay another one, such as that of an expulsion."""

    class Joining(FakeMember):
        async def request(self, code, path, payload):
            self.bodies.append(payload)
            return SimpleNamespace(code=CHANGED, payload=bytes(15))  # nothing is installed

    async def main():
        manager, kdc = group({b"switch": SENDER, b"gone": SENDER})
        switch = kdc.connected[b"switch"] = Joining()
        for epoch in range(2, 6):
            await until(lambda: switch.bodies)
            assert decode(switch.bodies.pop()[2:]).epoch == epoch
            await asyncio.sleep(0.2)
            assert not switch.bodies
            manager.rekey(now())
            kdc.changed("lamps")
        kdc.close()

    asyncio.run(asyncio.wait_for(main(), 4))


class LateMember(FakeMember):
    """A member that answers everything when `let` is set."""

    async def request(self, code, path, payload):
        self.bodies.append((code, payload))
        await self.let.wait()
        return SimpleNamespace(code=CHANGED, payload=b"")


@pytest.mark.parametrize("turns", range(8))
def test_a_push_that_is_replaced_as_it_is_answered_leaves_its_successor_alone(turns):
    async def main():
        manager, kdc = group({b"lamp": LISTENER})
        failures = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        kdc.connected[b"lamp"] = lamp = LateMember()
        await until(lambda: lamp.bodies)
        await asyncio.sleep(1)  # the pace is over: who follows, follows at once
        lamp.let.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        lamp.let.clear()
        manager.rekey(now())
        kdc.changed("lamps")
        epoch = manager.state.epoch
        await asyncio.sleep(20)
        pushed = [code for code, body in lamp.bodies if code == PUT and decode(body[2:]).epoch == epoch]
        assert len(pushed) == 1  # and it is under way
        lamp.let.set()
        await asyncio.sleep(20)
        kdc.close()
        await asyncio.sleep(20)
        gc.collect()
        assert not failures and kdc.settled("lamps")

    VirtualNetwork(lambda sides: 0).run(main)


class OtherMember(FakeMember):
    """A member with `report`, (epoch, flags), that refuses what is older, and what has another key if flag 4 is set."""

    def __init__(self, code, epoch, flags):
        super().__init__()
        self.response = code, epoch.to_bytes(2, "big") + bytes(8) + bytes((flags,)) + bytes(4)

    async def request(self, code, path, payload):
        await super().request(code, path, payload) if code != POST else None
        return SimpleNamespace(code=self.response[0], payload=self.response[1])


REFUSALS = [(CONFLICT, 4, 2, 5), (CONFLICT, 1, 6, 2), (CHANGED, 1, 6, 2), (CONFLICT, 1, 2, 2), (CHANGED, 4, 2, 5)]


@pytest.mark.parametrize("code, epoch, flags, following", REFUSALS)
def test_d3_a_refusal_is_no_acknowledgement(code, epoch, flags, following):
    """Nor a report of another epoch, whatever the code is."""

    async def main():
        manager, kdc = group({b"switch": SENDER})
        kdc.connected[b"switch"] = other = OtherMember(code, epoch, flags)
        await until(lambda: other.bodies and manager.state.epoch == following)
        await asyncio.sleep(0.1)
        assert manager.state.epoch == following and not kdc.settled("lamps")
        assert manager.state.members[b"switch"].held == 0 and manager.undelivered == [b"switch"]
        kdc.close()

    VirtualNetwork(lambda sides: 0).run(main)
