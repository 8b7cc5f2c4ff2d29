# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The devices of a manager's service, in virtual time: events, metrics, their states after a restart, the period of reports."""

import asyncio
import sys

import pytest

from dice.aio.wait import now
from dice.group.presence import silent_s
from dice.limits import REPORT_MAX_S
from dicectl.manager.operating.metrics import Metrics
from dicectl.manager.presence import restore
from dicectl.manager.registry.base import StoredSession
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.unit.memory_registry import MemoryRegistry


def run(scenario, registry=None, **options):
    """Run `scenario(service)` with a service of two groups, without sockets, in virtual time."""

    async def inside():
        opened = registry or MemoryRegistry()
        service = ManagerService(opened, "house.db", **options)
        service.do({"do": "new", "group": "lamps"})
        service.do({"do": "new", "group": "doors"})
        try:
            return await scenario(service)
        finally:
            service.kdc.close()

    return VirtualNetwork(lambda sides: 0).run(inside)


def provision(service, name, *groups):
    """Create a device; return its identity."""
    made = service.do({"do": "provision", "name": name, "groups": dict.fromkeys(groups, "listener")})
    return made["identity"].encode()


def test_a_device_that_is_silent_or_back_is_news_once():
    async def scenario(service):
        lamp, fan = (provision(service, name, "lamps", "doors") for name in ("lamp", "fan"))
        presence = service.kdc.presence
        for identity in (lamp, fan):
            presence.connected(identity, now())
        assert service.news() == []
        await asyncio.sleep(600)
        presence.heard(fan, now())
        await asyncio.sleep(100)
        (event,) = service.news()
        assert event.pop("at") > 0 and event.pop("heard_s") in range(670, 702)
        assert event == {
            "event": "silent",
            "text": "lamp is silent for 11 min",
            "device": "lamp",
            "groups": ["lamps", "doors"],
            "state": "silent",
            "back_s": None,
            "connected": False,
        }
        assert service.news() == []
        presence.connected(lamp, now())
        (event,) = service.news()
        assert (event["event"], event["text"], event["state"]) == ("back", "lamp is back", "connected")

    run(scenario)


def test_a_re_key_that_fails_is_news_once():
    async def scenario(service):
        service.rekey_errors["lamps"] = OSError(28, "No space left on device")
        (event,) = service.news()
        assert event["event"] == "re-key failed" and event["group"] == "lamps" and "No space left" in event["text"]
        assert service.news() == []
        service.rekey_errors["lamps"] = OSError(28, "No space left on device")
        assert len(service.news()) == 1
        del service.rekey_errors["lamps"]
        assert service.news() == []

    run(scenario)


def test_members_and_devices_are_shown_with_their_states():
    """D1."""

    async def scenario(service):
        names = ("dead", "here", "cat", "new")
        dead, here, cat, _ = (provision(service, name, "lamps") for name in names)
        presence = service.kdc.presence
        for identity in (dead, here, cat):
            presence.connected(identity, now())
        presence.reported(cat, 3600, now())
        await asyncio.sleep(700)
        presence.connected(here, now())
        await asyncio.sleep(20)
        for found in (service.do({"do": "members", "group": "lamps"}), service.do({"do": "devices"})):
            shown = {member.get("device") or member["name"]: (member["state"], member["heard_s"]) for member in found}
            assert shown == {
                "dead": ("silent", 720),
                "here": ("connected", 20),
                "cat": ("asleep", 720),
                "new": ("never seen", None),
            }
            assert [member["connected"] for member in found].count(True) == 1
        service.kdc.connected[here] = None  # its session
        shown = service.do({"do": "show", "group": "lamps"})
        assert shown["awake"] == ["here"] == shown["untold"] and not shown["in_use"]
        assert {member["device"]: member["has_epoch"] for member in shown["away"]} == dict.fromkeys(("dead", "cat", "new"), False)
        service.kdc.connected.clear()
        assert service.do({"do": "device", "name": "dead"})["state"] == "silent"

    run(scenario)


def test_metrics_have_the_age_of_each_member():
    async def scenario(service):
        lamp = provision(service, "lamp", "lamps", "doors")
        provision(service, "new", "lamps")
        service.kdc.presence.connected(lamp, now())
        await asyncio.sleep(700)
        metrics = Metrics()
        metrics.update(service)
        values = {(s.name, *s.labels.values()): s.value for family in metrics.collect() for s in family.samples}
        assert values["dice_member_last_heard_seconds", "lamps", "lamp"] == 700
        assert ("dice_member_last_heard_seconds", "lamps", "new") not in values
        assert values["dice_members_silent", "lamps"] == values["dice_members_silent", "doors"] == 1
        assert values["dice_members_awake", "lamps"] == 0 and values["dice_group_members", "lamps"] == 2

    run(scenario)


def test_a_scrape_of_5000_members_is_cheap():
    """It costs the manager a few calls for each member, and nothing as long as nobody asks."""
    members = 5000

    async def scenario(service):
        state = service.managers["lamps"].state
        service.registry.name = bytes.decode
        for number in range(members):
            identity = b"%016x" % number
            state.members[identity] = FakeMember()
            service.kdc.presence.connected(identity, now())
        metrics = Metrics()
        calls = [0]

        def count(frame, event, argument):
            calls[0] += event == "call"

        for limit in (15 * members, 10):
            calls[0] = 0
            sys.setprofile(count)
            try:
                metrics.update(service)
            finally:
                sys.setprofile(None)
            assert calls[0] <= limit
        assert len(metrics._values[0][0].heard) == members

    class FakeMember:
        role, held = "listener", 0

    run(scenario)


def test_a_restart_keeps_what_is_known_of_devices():
    async def scenario(service):
        kdc = service.kdc
        rows = {
            b"lamp": StoredSession(None, bytes(16), 995.0),
            b"dead": StoredSession(None, b"", 300.0, "silent"),
            b"cat": StoredSession(None, b"", 940.0, "asleep", 1240.0),
            b"desk": StoredSession(None, b"", 900.0, "left"),
            b"gone": StoredSession(None, bytes(16), 10.0, "silent"),
            b"ahead": StoredSession(None, bytes(16), 99_999.0),
        }
        restore(kdc, rows, 1000.0)
        found = {i: (s.state, s.heard_s, s.back_s) for i in rows for s in (kdc.presence.find(i, now()),)}
        assert found == {
            b"lamp": ("returning", 5, None),
            b"dead": ("silent", 700, None),
            b"cat": ("asleep", 60, 240),
            b"desk": ("left", 100, None),
            b"gone": ("silent", 990, None),
            b"ahead": ("returning", 0, None),
        }
        assert [i for i in rows if kdc.is_awake(i)] == [b"lamp", b"ahead"]
        await asyncio.sleep(silent_s(REPORT_MAX_S) + 10)
        assert kdc.presence.state(b"lamp") == kdc.presence.state(b"cat") == "silent"

    run(scenario)


@pytest.mark.parametrize("asked, stored, period", [(None, None, 600), (60, None, 60), (None, 120, 120), (60, 120, 60)])
def test_the_period_of_reports_is_kept(tmp_path, asked, stored, period):
    registry = MemoryRegistry()
    if stored:
        registry.store_setting("report_s", stored)

    async def inside():
        service = ManagerService(registry, tmp_path / "house.db", report_s=asked)
        network = VirtualNetwork(lambda sides: 0)
        await service.start(5684, "127.0.0.1", transport=network.host().Unicast(None))
        assert service.kdc.presence.report_s == period
        service.close()

    asyncio.run(inside())
    assert registry.setting("report_s") == period
