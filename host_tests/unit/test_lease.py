# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/election/lease.py against a model of the database, in virtual time: at most one leader, and another one within 10 s.

The model has what PostgreSQL does: it ends a session `LEASE_S` after its last query, by its own clock, and gives the lock to who
asks next. Leaders are stopped (all their threads), hang (their event loop alone) or are cut off, at any moment, for any time.
"""

import random

from dicectl.manager.election import lease
from dicectl.manager.election.lease import CALL_S, HEARTBEAT_S, LEASE_S, LOOP_S, POLL_S, SILENT_S, Lease
from host_tests.seeds import search

START_S = 1.0  # a standby opens the registry and its ports
BOUND_S = 10.0


class Database:
    """Time, who has the lock, and the fence; `rate` is how fast its clock runs beside those of the managers."""

    def __init__(self, rate):
        self.now = 0.0
        self.rate = rate
        self.holder = None
        self.asked = 0.0  # when the holder last queried
        self.number = 0

    def query(self, who):
        """Return whether `who` has the lock; it gets it if nobody has."""
        if self.holder and (self.now - self.asked) * self.rate >= LEASE_S:
            self.holder = None
        if self.holder is None:
            self.holder = who
        if self.holder is who:
            self.asked = self.now
        return self.holder is who


class Process:
    """A manager: its threads run when they are due, unless it is stopped; the loop may hang alone."""

    def __init__(self, name, database, rng):
        self.name = name
        self.database = database
        self.rng = rng
        self.lease = None
        self.number = None
        self.lost = False
        self.stopped_until = self.hangs_until = self.cut_until = 0.0
        self.is_stopped = False
        self.due = {"beat": 0.0, "loop": 0.0, "poll": rng.random() * POLL_S}

    def step(self):
        now = self.database.now
        if now < self.stopped_until:
            self.is_stopped = True
            return
        if self.is_stopped:  # its query takes time, or its thread is the last one to go on
            self.is_stopped = False
            self.due["beat"] = now + self.rng.random()
        order = list(self.due)
        self.rng.shuffle(order)  # who is first after a stop is not known
        for what in order:
            if now >= self.due[what]:
                self._run(what, now)

    def _run(self, what, now):
        if what == "poll" and (self.lease is None or self.lost):
            self.due[what] = now + POLL_S
            if self.database.query(self):
                self.database.number += 1
                self.number, self.lease, self.lost = self.database.number, Lease(now), False
        elif self.lease is None or self.lost:
            return
        elif what == "loop" and now >= self.hangs_until:
            self.due[what] = now + LOOP_S
            self.lease.looped(now)
        elif what == "beat":
            self.due[what] = now + HEARTBEAT_S
            if not self.lease.hangs(now) and now >= self.cut_until:
                if self.database.query(self):
                    self.lost = self.number != self.database.number
                    self.lease.answered(now)
                else:
                    self.lost = True

    def acts(self):
        """Return whether its event loop runs, maybe before all other threads after a stop."""
        return bool(self.lease and not self.lost and self.database.now >= max(self.stopped_until, self.hangs_until))

    def may_distribute(self):
        return self.acts() and self.lease.sure(self.database.now)

    def may_send(self):
        return self.acts() and self.lease.awake(self.database.now)


def _play(seed):
    rng = random.Random(seed)
    database = Database(rng.choice((0.95, 1.0, 1.05)))
    processes = [Process(name, database, rng) for name in "ab"]
    ended_at = None
    done = {"stopped": 0, "hangs": 0, "cut": 0, "take-overs": 0}
    next_trouble, number = rng.uniform(0, 8), 0
    while database.now < 120:
        database.now += 0.05
        for process in processes:
            process.step()
        sure = [process.name for process in processes if process.may_distribute()]
        assert len(sure) < 2, f"two leaders at {database.now:.2f}"
        for process in processes:
            superseded = process.number is not None and process.number < database.number
            assert not (superseded and process.may_distribute()), f"{process.name} gives out keys after a take-over"
            if process.cut_until < database.now - 1:
                assert not (superseded and process.may_send()), f"{process.name} answers after it was stopped"
        if database.number != number:
            done["take-overs"] += number > 0
            number = database.number
            if ended_at is not None:
                assert database.now - ended_at + START_S < BOUND_S, f"a take-over took {database.now - ended_at:.1f} s"
            ended_at = None
        if database.now > next_trouble:
            next_trouble = database.now + rng.uniform(12, 20)
            leader = next((process for process in processes if process.number == number and not process.lost), None)
            if leader:
                kind = rng.choice(("stopped", "hangs", "cut"))
                done[kind] += 1
                seconds = rng.choice((1.0, 3.0, 5.0, 11.0))
                setattr(leader, f"{kind}_until", database.now + seconds)
                ended_at = database.now if seconds > 10 else None
    return done


def test_there_is_one_leader_and_another_one_within_10_s():
    done = search(_play, 25)
    assert min(done.values()) > 5


def test_the_worst_case_of_a_take_over_is_below_10_s():
    """A hanging event loop, its last heartbeat, its lease, a statement of the standby that waits, its poll and its start."""
    assert SILENT_S + HEARTBEAT_S + LEASE_S + POLL_S + START_S < BOUND_S
    assert CALL_S <= LEASE_S, "a transaction of the stopped leader would outlast its lease"
    assert SILENT_S + HEARTBEAT_S + CALL_S < LEASE_S + SILENT_S and LOOP_S < CALL_S < SILENT_S


def test_a_process_that_was_stopped_trusts_only_an_answer_to_a_later_query():
    now = 100.0
    held = Lease(now)
    for _ in range(4):
        now += LOOP_S
        held.looped(now)
    asked = now
    now += SILENT_S + 1
    assert not held.awake(now), "it answers before any of its threads has run"
    held.looped(now)
    assert not held.awake(now)
    held.answered(asked)  # the answer that was in the socket
    assert not held.awake(now) and not held.sure(now)
    held.answered(now)
    assert held.awake(now) and held.sure(now)


def test_a_database_that_is_away_stops_the_keys_and_not_the_answers():
    now = 100.0
    held = Lease(now)
    while now < 100 + 3 * LEASE_S:
        now += LOOP_S
        held.looped(now)
        assert held.awake(now) and held.sure(now) == (now - 100 < LEASE_S - lease.MARGIN_S)
