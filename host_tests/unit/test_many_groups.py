# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""One device in many groups, in virtual time: its session with the manager serves all, also if all have something to say."""

import asyncio
import os

import dice
from dice.aio.kdc import Kdc
from dice.aio.managed import ManagedGroup
from dice.aio.wait import now
from dice.dtls.kx_psk_server import PskLookup
from dice.group.gsa import K08
from dice.group.manager import LISTENER, SENDER, GroupState, Manager
from dice.limits import COAP_QUEUE_MAX, REPORT_MAX_S
from dicectl.net.virtual import VirtualNetwork

NAMES = ["g%d" % i for i in range(2 * COAP_QUEUE_MAX + 1)]
EXPELLED_S = 5 + 0.002  # docs/security.md: no device that is connected obeys the expelled for longer


def _manager(index):
    """Return the Manager of a group of a lamp and of a sender that was never connected."""
    state = GroupState(NAMES[index], bytes([index] * 4), b"\xef\1\2" + bytes([index]), 5000 + index, K08)
    manager = Manager(state, lambda state, change: None, os.urandom, now())
    manager.add([b"lamp"], LISTENER, now())
    manager.add([b"gone"], SENDER, now())
    return manager


def test_reports_and_an_expulsion_from_all_groups_at_once_take_one_session(tmp_path):
    network = VirtualNetwork(lambda sides: 0, 0)

    async def live():
        kdc = Kdc()
        managers = [_manager(index) for index in range(len(NAMES))]
        for manager in managers:
            kdc.add(manager)
        keys = {b"lamp": bytes(16)}
        await dice.serve(5684, PskLookup(keys.get), kdc.serve, timer_ms=1000, network=network.host())
        host = network.host("lamp")
        groups = [ManagedGroup(name, str(tmp_path / name), host) for name in NAMES]
        routes = {path: methods for group in groups for path, methods in group.routes.items()}
        session = dice.Coap(await dice.connect(("", 0), dice.Psk(b"lamp", keys[b"lamp"]), network=host), dice.Router(routes))
        await asyncio.gather(*[group.join(session) for group in groups])
        following = asyncio.ensure_future(asyncio.gather(*[group.stay(session) for group in groups]))
        await asyncio.sleep(3 * REPORT_MAX_S)
        assert not following.done() and not session.ended and not any(map(kdc.awaited, NAMES))
        for manager in managers:
            manager.remove([b"gone"], now())
            kdc.changed(manager.state.name)
        await asyncio.sleep(EXPELLED_S)
        epochs = [group.group.member.held(0).epoch for group in groups]
        assert epochs == [manager.state.epoch for manager in managers], "it obeys the expelled in none"
        session.close()
        await following

    network.run(live)
