# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager whose clock was ahead, as that of a computer without a battery can be, and renewed certificates then."""

import asyncio

from dice.x509.certificate import Certificate
from host_tests.unit.test_device_updates import run
from host_tests.unit.test_renewed_certificates import LIFETIME_S, SOON_S, end_of, town

__all__ = ["town"]
AHEAD_S = 8000  # certificates begin an hour before they are issued


def test_a_clock_that_was_ahead_locks_no_device_out(tmp_path):
    """A certificate whose notBefore the manager knows is valid, also if that is to come by the clock of now."""

    async def scenario(town):
        node = town.add("signed-1", LIFETIME_S)
        await asyncio.sleep(15)
        end, right = end_of(node), town.registry.now
        town.registry.now = lambda: right() + AHEAD_S
        await asyncio.sleep(2 * SOON_S)
        assert end_of(node) > end and "next" not in node.stored, "it has been renewed, and the former one is gone"
        town.registry.now = right
        assert Certificate(bytes.fromhex(node.stored["chain"][0])).not_before > right() + 600
        for _ in range(2):
            node.cut()
            await asyncio.sleep(700)
            node.power_on()
            await asyncio.sleep(SOON_S)
            assert node.identity in town.service.kdc.connected

    run(tmp_path, scenario)
