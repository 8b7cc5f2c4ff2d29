# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The state of the key deliveries of dice.aio.kdc, with members that are doubles."""

import asyncio
import os
from types import SimpleNamespace

from dice.aio.kdc import Kdc
from dice.aio.wait import now
from dice.coap.message import CHANGED, CON, GET, POST, Message, path_options
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager


class FakeMember:
    """A connected member that installs a GSA at once, and activates the next epoch when `let` is set."""

    def __init__(self):
        self.let = asyncio.Event()
        self.asked = asyncio.Event()

    async def request(self, code, path, payload):
        if code == POST:
            self.asked.set()
            await self.let.wait()
        return SimpleNamespace(code=CHANGED)


def test_an_epoch_is_unsettled_until_its_senders_have_activated_it():
    """Until then they send in the previous epoch, which an expelled member can read."""

    async def main():
        manager = Manager(GroupState("lamps", b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state: None, os.urandom, now())
        manager.add([b"switch", b"gone"], SENDER, now())
        manager.add([b"lamp"], LISTENER, now())
        kdc = Kdc()
        kdc.add(manager)
        kdc.connected.update({b"switch": FakeMember(), b"lamp": FakeMember()})
        kdc.changed("lamps")
        manager.acknowledge(b"gone", 1, now())
        await kdc.connected[b"switch"].asked.wait()
        assert manager.state.active and kdc.not_activated("lamps") == [b"switch"]
        kdc.connected[b"switch"].let.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert kdc.not_activated("lamps") == [], "waits for a member that is not connected"
        assert not kdc.settled("lamps")
        kdc.close()

    asyncio.run(main())


def test_the_links_of_a_member_are_those_of_its_groups():
    """Any enrolled device could read the names of all groups."""

    async def main():
        kdc = Kdc()
        for name, member in (("lamps", b"switch"), ("safe", b"guard")):
            manager = Manager(GroupState(name, b"\1\2\3\4", b"\xef\1\2\3", 5000, K08), lambda state: None, os.urandom, now())
            manager.add([member], SENDER, now())
            kdc.add(manager)
        request = Message(CON, GET, 1, b"", path_options(".well-known/core"))
        links = {identity: kdc._router(request, identity)[1] for identity in (b"switch", b"guard", b"stranger")}
        assert links[b"switch"] == b"</ace-group/lamps>,</ace-group/lamps/node>,</ace-group/lamps/num>"
        assert links[b"guard"] == links[b"switch"].replace(b"lamps", b"safe") and links[b"stranger"] == b""
        kdc.close()

    asyncio.run(main())
