# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keys are renewed in time whatever happens to the clock of the manager's computer (invariant 8).

The real service with a registry in memory, in virtual time. The wall clock is set at random moments, by seconds or by years in
either direction, and the manager is restarted, with and without a clock that is set meanwhile.
"""

import asyncio
import random

from dicectl.manager.rekey_timer import SLACK_S
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.seeds import seeds
from host_tests.unit.memory_registry import MemoryRegistry

PERIOD_S = 600
POLL_S = 2
YEAR_S = 365 * 86_400
JUMPS_S = (1, 30, PERIOD_S // 2, PERIOD_S - 1, PERIOD_S, 3600, 30 * 86_400, YEAR_S, 40 * YEAR_S)


class Computer:
    """A manager whose wall clock can be set; `renewed` lists the true times of its re-keys."""

    def __init__(self, folder):
        self.offset_s = 1_800_000_000
        self.registry = MemoryRegistry(self.wall_s)
        self.folder = folder
        self.service = self.task = None
        self.started_s = 0

    def true_s(self):
        return asyncio.get_running_loop().time()

    def wall_s(self):
        return self.offset_s + asyncio.get_running_loop().time()

    def start(self):
        self.started_s = self.true_s()
        self.service = ManagerService(self.registry, self.folder / "house.db")
        for group in self.registry.states():
            self.service.manage(group.state, group.rekey_s)
        self.task = asyncio.ensure_future(self.service.rekey_when_due())

    def stop(self):
        self.task.cancel()
        self.service.kdc.close()

    def jump(self, chance):
        self.offset_s += chance.choice((-1, 1)) * chance.choice(JUMPS_S)

    @property
    def epoch(self):
        return self.service.managers["lamps"].state.epoch


async def live(computer, chance, set_while_off):
    """Live through some hours with jumps and restarts; return (what must hold of each moment, re-keys, events)."""
    computer.start()
    computer.service.do({"do": "new", "group": "lamps", "rekey_s": PERIOD_S})
    computer.service.do({"do": "provision", "name": "desk", "groups": {"lamps": "sender"}})
    epoch, renewed_s, events = computer.epoch, computer.true_s(), []
    for _ in range(30):
        wait_s = chance.choice((5, 60, PERIOD_S // 3, PERIOD_S))
        for _ in range(wait_s):
            await asyncio.sleep(1)
            if computer.epoch != epoch:
                epoch, renewed_s = computer.epoch, computer.true_s()
            known_s = max(renewed_s, computer.started_s) if set_while_off else renewed_s
            age_s = computer.true_s() - known_s
            fresh = computer.true_s() - computer.started_s <= POLL_S
            assert fresh or age_s <= PERIOD_S + SLACK_S + POLL_S, (events, age_s)
        event = chance.choice(("jump", "jump", "restart", "nothing"))
        events.append((round(computer.true_s()), event))
        if event == "jump":
            computer.jump(chance)
        elif event == "restart":
            await asyncio.sleep(POLL_S)  # a jump is noticed by then
            if computer.epoch != epoch:
                epoch, renewed_s = computer.epoch, computer.true_s()
            computer.stop()
            await asyncio.sleep(chance.choice((1, PERIOD_S // 2, 3 * PERIOD_S)))
            if set_while_off:
                computer.jump(chance)
            computer.start()
    jumps = len([event for _, event in events if event != "nothing"])
    assert epoch <= 1 + computer.true_s() / PERIOD_S + jumps, (events, epoch)
    computer.stop()


def run(tmp_path, seed, set_while_off):
    async def scenario():
        try:
            await live(Computer(tmp_path), random.Random(seed), set_while_off)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error

    VirtualNetwork(lambda sides: 0).run(scenario)


def test_keys_are_renewed_in_time_whatever_the_clock_says_while_the_manager_runs(tmp_path):
    for seed in seeds(6):
        run(tmp_path, seed, set_while_off=False)


def test_keys_are_renewed_a_period_after_a_start_at_the_latest_if_the_clock_is_set_meanwhile(tmp_path):
    for seed in seeds(6):
        run(tmp_path, seed, set_while_off=True)
