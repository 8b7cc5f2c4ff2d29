# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A member with another role: it sends, or is obeyed no more, within the time of an expulsion, and stays a member throughout."""

import asyncio
from types import SimpleNamespace

import pytest
from virtual_house import House

from dice.group.manager import ANSWERING, LISTENER, SENDER
from dicectl.manager.group_changes import GroupChanges

CONNECTED_S = 5 + 3 * 0.11 + 1  # an expulsion, for members that are connected


def set_role(house, name, role):
    """Execute the request `role` of a house's manager."""
    service = SimpleNamespace(manager=lambda _: house.manager, identity=str.encode, kdc=house.kdc)
    GroupChanges(service, SimpleNamespace(do_show=lambda _: None)).do_role("lamps", [name], role)


@pytest.mark.parametrize("other", [LISTENER, ANSWERING])
def test_a_listener_becomes_a_sender_and_back(tmp_path, other):
    async def scene(house):
        await house.say("lamp-1", b"no sender yet")
        set_role(house, "lamp-1", SENDER)
        await asyncio.sleep(CONNECTED_S)
        assert house.kdc.settled("lamps")
        await house.say("lamp-1", b"on")
        await house.say("switch", b"dim")
        assert house.heard("lamp-2") == [b"on", b"dim"] and house.heard("lamp-1") == [b"dim"]
        set_role(house, "lamp-1", other)
        await asyncio.sleep(CONNECTED_S)
        assert house.kdc.settled("lamps")
        await house.say("lamp-1", b"off")
        await house.say("switch", b"bright")
        assert house.heard("lamp-2") == [b"on", b"dim", b"bright"] and house.heard("lamp-1") == [b"dim", b"bright"]

    House(tmp_path, {"switch": SENDER, "lamp-1": other, "lamp-2": LISTENER}).run(scene)


def test_a_sender_that_gets_no_keys_any_more_is_obeyed_no_longer_than_an_expelled_one(tmp_path):
    """It misses the news, and goes on in the epoch in which it may send."""

    async def scene(house):
        house.cut("gone")
        set_role(house, "gone", LISTENER)
        await asyncio.sleep(CONNECTED_S)
        await house.say("gone", b"on")
        assert house.heard("lamp") == []

    House(tmp_path, {"switch": SENDER, "gone": SENDER, "lamp": LISTENER}).run(scene)
