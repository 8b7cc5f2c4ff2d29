# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Keys are renewed in time whatever happens to the clock of the manager's computer (invariant 8), and its audit log is not erased.

The real service with a registry in memory, in virtual time. The wall clock is set at random moments, by seconds or by years in
either direction, and the manager is restarted, with and without a clock that is set meanwhile.
"""

import asyncio
import random

from dicectl.manager.registry.retention import DATE, FOLLOWED_DAYS, KEEP, Retention
from dicectl.manager.rekey_timer import SLACK_S
from dicectl.manager.service import ManagerService
from dicectl.net.virtual import VirtualNetwork
from host_tests.seeds import search, seeds
from host_tests.unit.memory_registry import MemoryRegistry

PERIOD_S = 600
POLL_S = 2
DAY_S = 86_400
YEAR_S = 365 * DAY_S
KEEP_S = 90 * DAY_S
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


class Log:
    """An audit log that a manager prunes, while it runs; the true time goes on from 0."""

    def __init__(self):
        self.true_s = self.ahead_s = 0.0
        self.registry = MemoryRegistry(lambda: 1_800_000_000 + self.true_s + self.ahead_s)
        self.registry.store_setting(KEEP, KEEP_S)
        self.written = {}  # when an entry was written, by its number, if the date was not behind
        self.timers = []
        self.lost_s = 0.0  # how much the log may lack of its KEEP_S

    def later(self, seconds, function):
        self.timers.append((self.true_s + seconds, function))

    def run(self, seconds):
        """Let the manager start and run; it writes something each day."""
        retention, end_s, write_s = Retention(self.registry), self.true_s + seconds, self.true_s
        retention.start(self.later)
        while (due := min(self.timers, key=lambda timer: timer[0]))[0] <= end_s:
            self.timers.remove(due)
            self.true_s = due[0]
            if self.true_s >= write_s:
                self.registry.log("told")
                write_s += DAY_S
                if self.ahead_s >= 0:
                    self.written[self.registry.last_entry] = self.true_s
            if due[1] == retention._run:  # a checkpoint each minute is not of interest
                due[1]()
        retention.stop()
        self.timers = []
        self.true_s = end_s
        if self.ahead_s > 0:
            self.lost_s += FOLLOWED_DAYS * (seconds + 3600)

    def lacks(self):
        """Return the entries that are missed."""
        kept = {entry["number"] for entry in self.registry.read_audit(0, None)}
        return [n for n, at in self.written.items() if n not in kept and self.true_s - at < KEEP_S - self.lost_s]


def test_no_date_erases_the_audit_log_and_it_is_pruned_after_all():
    """A computer that had a date of four months ahead for two minutes deleted all of a log that is kept for 90 days."""

    def play(seed):
        chance, log = random.Random(seed), Log()
        done = {"wrong": 0, "off": 0}
        log.run(60 * DAY_S)
        for _ in range(10):
            what = chance.choice(("wrong", "wrong", "off", "right"))
            if what == "off":
                log.true_s += chance.choice((1, 100, 365)) * DAY_S
            else:
                log.ahead_s = 0.0 if what == "right" else chance.choice((-1, 1, 1)) * chance.choice(JUMPS_S)
                log.run(chance.choice((120, 3600, DAY_S)) if what == "wrong" else 10 * DAY_S)
            assert not log.lacks(), f"{what} at {log.true_s}: {len(log.lacks())} entries are lost"
            done[what] = done.get(what, 0) + 1
        log.ahead_s = 0.0
        late_s = max(0, log.registry.now() - log.registry.setting(DATE))
        log.run(late_s / (FOLLOWED_DAYS - 1) + DAY_S)
        assert Retention(log.registry).problems() == []
        first = log.registry.read_audit(0, 1)[0]["at"]
        assert log.registry.now() - first <= KEEP_S + 3 * DAY_S, "the log is not pruned"
        return done

    done = search(play, 3)
    assert done["wrong"] > 6 and done["off"] > 2
