# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The manager knows which members are awake, and waits for no others: a manager, members and their network in virtual time."""

import asyncio
import random

import pytest
from virtual_house import House

from dice.aio.wait import now
from dice.errors import DiceError
from dice.group.manager import LISTENER, SENDER
from dice.group.presence import ASLEEP, CONNECTED, LEFT, RETURNING, SILENT, silent_s
from dice.limits import REPORT_MAX_S
from host_tests import bounds
from host_tests.seeds import seeds

WATCH_S = 5  # between two looks of the manager
UNANSWERED_S = 30
ROLES = {"switch": SENDER, "lamp": LISTENER, "fan": LISTENER}
DAY = 86_400


def clock():
    return asyncio.get_running_loop().time()


async def until(reached, limit_s):
    """Wait until `reached()`; return how long that took, in s."""
    start = clock()
    while not reached():
        assert clock() - start < limit_s
        await asyncio.sleep(0.1)
    return clock() - start


def rekey(house):
    house.manager.rekey(now())
    house.kdc.changed("lamps")


def in_use(house):
    """Return whether the epoch is in use by all that are awake."""
    return house.manager.state.active and not house.kdc.awaited("lamps")


@pytest.mark.parametrize("report_s", [10, 60, REPORT_MAX_S, 3600])
def test_a_dead_member_is_silent_after_one_report(tmp_path, report_s):
    """D1: it stayed connected."""

    async def scene(house):
        await asyncio.sleep(2 * report_s)
        assert [house.presence(name) for name in ROLES] == [CONNECTED] * 3
        house.network.cut.add("lamp")
        took_s = await until(lambda: house.presence("lamp") == SILENT, silent_s(report_s) + WATCH_S + 1)
        assert took_s > silent_s(report_s) - report_s - 2 * WATCH_S
        assert set(house.kdc.connected) == {b"switch", b"fan"}
        await asyncio.sleep(1000)
        assert [house.presence(name) for name in ROLES] == [CONNECTED, SILENT, CONNECTED]
        house.network.cut.clear()
        await until(lambda: house.presence("lamp") == CONNECTED, 700)

    House(tmp_path, ROLES, report_s=report_s).run(scene)


def test_a_re_key_does_not_wait_for_a_member_that_is_known_to_be_away(tmp_path):
    """D13: 60 s, and 60 ms for each member."""

    async def scene(house):
        house.network.cut.add("lamp")
        await asyncio.sleep(silent_s(REPORT_MAX_S) + WATCH_S)
        rekey(house)
        assert await until(lambda: in_use(house), 3) < 3
        assert not house.kdc.settled("lamps") and house.manager.undelivered == [b"lamp"]
        house.network.cut.clear()
        await until(lambda: house.kdc.settled("lamps"), 700)
        await house.say("switch", b"on")
        assert house.heard("lamp") == [b"on"]

    House(tmp_path, ROLES).run(scene)


def test_who_does_not_answer_a_re_key_holds_it_up_for_half_a_minute(tmp_path):
    """It is silent from then on, and its session over when it misses its report. It is tried all the same."""

    async def scene(house):
        house.network.cut.add("lamp")
        rekey(house)
        assert await until(lambda: in_use(house), UNANSWERED_S + WATCH_S + 2) > UNANSWERED_S - 1
        assert house.presence("lamp") == SILENT
        await asyncio.sleep(300)
        house.network.cut.clear()
        await until(lambda: house.kdc.settled("lamps"), bounds.lossy_s(3))
        assert house.presence("lamp") == CONNECTED

    House(tmp_path, ROLES).run(scene)


def test_nobody_waits_for_a_member_that_sleeps(tmp_path):
    async def scene(house):
        node = house.nodes["lamp"]
        await node.managed.report(node._peer, 3600)
        node._peer.close()
        node.power_off()
        await asyncio.sleep(60)
        seen = house.kdc.presence.find(b"lamp", now())
        assert (seen.state, seen.heard_s, seen.back_s) == (ASLEEP, 60, 3539)
        rekey(house)
        assert await until(lambda: in_use(house), 3) < 3
        await asyncio.sleep(3600)
        assert house.presence("lamp") == ASLEEP
        await asyncio.sleep(430)
        assert house.presence("lamp") == SILENT
        node.power_on()
        await until(lambda: house.kdc.settled("lamps"), 30)
        assert house.presence("lamp") == CONNECTED

    House(tmp_path, ROLES).run(scene)


@pytest.mark.parametrize("after_ms", range(0, 100, 5))
def test_a_join_does_not_take_back_that_a_device_sleeps(tmp_path, after_ms):
    """A program may decide to sleep while another task of it joins; the report of join() would follow, as if it stayed."""

    async def scene(house):
        node = house.nodes["lamp"]
        joining = asyncio.ensure_future(node.managed.join(node._peer))
        await asyncio.sleep(after_ms / 1000)
        await node.managed.report(node._peer, 3600)
        await joining
        assert house.presence("lamp") == ASLEEP

    House(tmp_path, ROLES).run(scene)


def test_a_task_that_stays_does_not_take_back_that_a_device_sleeps(tmp_path):
    async def scene(house):
        node = house.nodes["lamp"]
        await node.managed.report(node._peer, 3600)
        await asyncio.sleep(2 * REPORT_MAX_S)  # it does not sleep after all
        assert house.presence("lamp") == ASLEEP
        assert house.kdc.presence.find(b"lamp", now()).heard_s <= REPORT_MAX_S
        rekey(house)
        await node.managed.join(node._peer)  # as stay() does when it has missed an epoch
        assert house.presence("lamp") == ASLEEP
        await node.managed.report(node._peer)
        assert house.presence("lamp") == CONNECTED

    House(tmp_path, ROLES).run(scene)


def test_who_closes_its_session_has_left(tmp_path):
    async def scene(house):
        house.nodes["lamp"]._peer.close()
        house.nodes["lamp"].power_off()
        await asyncio.sleep(1)
        assert house.presence("lamp") == LEFT and not house.kdc.is_awake(b"lamp")
        rekey(house)
        assert await until(lambda: in_use(house), 3) < 3

    House(tmp_path, ROLES).run(scene)


def test_after_a_restart_members_are_awaited_until_they_should_be_back(tmp_path):
    """D2: nobody was waited for, because nobody was connected."""

    async def scene(house):
        house.network.cut.add("lamp")  # forever
        for end in house.network.of("manager"):
            end.close()
        house.kdc.close()
        await asyncio.sleep(5)
        await house.start()
        house.expel("switch")
        await asyncio.sleep(20)
        assert house.manager.state.active and [house.presence(name) for name in ("fan", "lamp")] == [RETURNING] * 2
        assert house.kdc.awaited("lamps") == [b"lamp", b"fan"]
        took_s = await until(lambda: in_use(house), 2000)
        assert house.held("fan") == [house.manager.state.epoch]
        assert silent_s(REPORT_MAX_S) - 25 < took_s < silent_s(REPORT_MAX_S) + WATCH_S
        assert [house.presence(name) for name in ("fan", "lamp")] == [CONNECTED, SILENT]

    House(tmp_path, ROLES).run(scene)


def test_a_manager_that_was_stopped_calls_nobody_silent(tmp_path):
    """The reports that its devices have sent meanwhile wait in its socket."""

    async def scene(house):
        asyncio.get_running_loop()._now += 2000  # as SIGSTOP and SIGCONT
        for _ in range(300):
            await asyncio.sleep(2)
            assert [house.presence(name) for name in ROLES] == [CONNECTED] * 3
        house.network.cut.add("lamp")
        await until(lambda: house.presence("lamp") == SILENT, silent_s(REPORT_MAX_S) + WATCH_S + 1)

    House(tmp_path, ROLES).run(scene)


def test_a_deleted_device_is_forgotten(tmp_path):
    async def scene(house):
        house.kdc.forget(b"lamp")
        await asyncio.sleep(1)
        assert set(house.kdc.connected) == {b"switch", b"fan"} == set(house.kdc.presence.known())

    House(tmp_path, ROLES).run(scene)


@pytest.mark.parametrize("report_s, datagrams", [(REPORT_MAX_S, 288), (60, 2880), (3600, 48)])
def test_what_liveness_costs(tmp_path, report_s, datagrams):
    """Two datagrams in each period: as `manager run --help` says. docs/protocol.md, section 15, has the bytes."""

    async def scene(house):
        house.network.counts.clear()
        await asyncio.sleep(DAY)
        count, octets = house.network.counts["lamp"]
        print(f"a report each {report_s} s: {count} datagrams, {octets} bytes a day")
        assert 0.9 * datagrams <= count <= datagrams
        assert octets <= 63 * count

    House(tmp_path, {"switch": SENDER, "lamp": LISTENER}, report_s=report_s).run(scene)


@pytest.mark.parametrize("seed", seeds(4))
def test_what_the_manager_says_of_a_member_is_true_within_the_bound(tmp_path, seed):
    """Random outages, power cuts, sleeps and re-keys, also on a network that loses datagrams."""
    chance = random.Random(seed)
    report_s = chance.choice([60, 300, REPORT_MAX_S])
    limit_s = silent_s(report_s) + WATCH_S + 1
    names = ["switch", "lamp", "fan"]
    away, back = {}, dict.fromkeys(names, 0.0)  # since when; of those that are away, until when they said they sleep

    async def change(house):
        name = chance.choice(names[1:])
        node = house.nodes[name]
        kind = chance.choice(["cut", "off", "sleep", "rekey"])
        if kind == "rekey":
            rekey(house)
        elif name in away:
            house.network.cut.discard(name)
            if node.managed is None:
                node.power_on()
            del away[name]
            back[name] = clock()
        elif kind == "cut":
            house.network.cut.add(name)
            away[name] = clock(), SILENT
        elif house.presence(name) == CONNECTED and node._peer and not node._peer.ended:
            for task in node._tasks:
                task.cancel()
            await asyncio.sleep(0)
            if kind == "sleep":
                try:
                    await node.managed.report(node._peer, 50_000)
                except DiceError:
                    kind = "off"
            node.power_off()
            away[name] = clock(), ASLEEP if kind == "sleep" else LEFT

    async def scene(house):
        await asyncio.sleep(report_s)  # until all have the period
        for _ in range(60):
            await change(house)
            await asyncio.sleep(chance.choice([1, 30, 200, 900, 1500]))
            for name in names:
                state = house.presence(name)
                since, expected = away.get(name, (back[name], CONNECTED))
                if clock() - since > (limit_s if name in away else 300 + bounds.EXCHANGE_S + report_s + 100):
                    allowed = {expected, SILENT} if expected == LEFT else {expected}  # its last word may be lost
                    assert state in allowed, (name, state, expected, clock() - since)
                if name in away and clock() - since > limit_s:
                    assert not house.kdc.is_awake(name.encode())

    House(
        tmp_path, dict.fromkeys(names, LISTENER) | {"switch": SENDER}, 0, 1, chance.choice([0, 2]), chance.randrange, report_s
    ).run(scene)
