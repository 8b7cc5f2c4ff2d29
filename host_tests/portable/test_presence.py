# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The devices that are awake, by when each has sent something (dice.group.presence)."""

from dice._compat import ticks_add, ticks_diff
from dice.group.presence import ASLEEP, CONNECTED, LEFT, NEVER, RETURNING, SILENT, Presence, silent_s
from dice.limits import REPORT_MAX_S

LAMP, FAN = b"lamp", b"fan"
HOUR_MS = 3_600_000
UNANSWERED_S = 30


class Life:
    """A Presence and a clock, which starts shortly before the ticks wrap."""

    def __init__(self, report_s=REPORT_MAX_S):
        self.now = ticks_add(0, -5000)
        self.presence = Presence(report_s)

    def does(self, name, *arguments):
        """Call one of those that note something."""
        getattr(self.presence, name)(*arguments, self.now)

    def wait(self, seconds):
        """Let time pass, as the manager's task does; return whose sessions are over."""
        left_ms, over = 1000 * seconds, []
        while True:
            due = self.presence.deadline()
            step = left_ms if due is None else min(left_ms, max(0, ticks_diff(due, self.now)))
            self.now = ticks_add(self.now, step)
            left_ms -= step
            over += self.presence.timeout(self.now)
            if not left_ms:
                return over

    def seen(self, identity=LAMP):
        """Return (state, heard_s, back_s)."""
        found = self.presence.find(identity, self.now)
        assert self.presence.state(identity) == found.state
        return found.state, found.heard_s, found.back_s


def test_a_device_that_misses_a_report_is_silent():
    life = Life()
    assert life.seen() == (NEVER, None, None)
    life.does("connected", LAMP)
    assert life.seen() == (CONNECTED, 0, None)
    limit_s = silent_s(REPORT_MAX_S)
    assert limit_s == 670
    for _ in range(5):
        assert life.wait(limit_s - 1) == []
        assert life.seen() == (CONNECTED, limit_s - 1, None)
        life.does("heard", LAMP)
    assert life.wait(limit_s) == [LAMP]
    assert life.seen() == (SILENT, limit_s, None)
    assert life.wait(50) == []
    assert life.seen() == (SILENT, 720, None) and life.presence.news() == [(LAMP, SILENT)]
    life.does("connected", LAMP)
    assert life.seen() == (CONNECTED, 0, None) and life.presence.news() == [(LAMP, CONNECTED)]
    assert life.presence.news() == []


def test_a_period_counts_from_the_report_whose_response_has_it():
    life = Life(60)
    life.does("connected", LAMP)
    assert life.wait(silent_s(REPORT_MAX_S) - 1) == []
    life.does("reported", LAMP, 0)
    assert life.wait(silent_s(60) - 1) == [] and life.wait(1) == [LAMP]


def test_who_does_not_answer_is_silent():
    life = Life()
    life.does("connected", LAMP)
    life.does("connected", FAN)
    life.wait(100)
    life.does("asked", LAMP)
    life.does("asked", FAN)
    life.wait(UNANSWERED_S - 1)
    life.does("heard", FAN)
    life.does("asked", LAMP)  # again, which does not prolong it
    assert life.wait(1) == [] and life.seen() == (SILENT, 130, None) and life.seen(FAN) == (CONNECTED, 1, None)
    life.does("heard", LAMP)  # its answer is late
    assert life.seen() == (CONNECTED, 0, None) and life.wait(UNANSWERED_S) == []
    life.does("asked", LAMP)
    life.does("unanswered", LAMP)
    assert life.seen()[0] == SILENT
    assert life.wait(silent_s(REPORT_MAX_S) - UNANSWERED_S) == [FAN, LAMP]


def test_who_says_when_it_is_back_is_asleep_until_then():
    life = Life()
    life.does("connected", LAMP)
    life.does("reported", LAMP, 3600)
    life.does("heard", LAMP)  # what it said before has arrived twice
    life.does("ended", LAMP)
    assert life.seen() == (ASLEEP, 0, 3600)
    life.wait(3000)
    assert life.seen() == (ASLEEP, 3000, 600)
    life.does("connected", LAMP)
    assert life.seen() == (CONNECTED, 0, None)
    life.does("reported", LAMP, 3600)
    assert life.wait(3600 + 360 + 69) == [] and life.seen() == (ASLEEP, 4029, 0)
    life.wait(1)
    assert life.seen()[0] == SILENT
    life.does("reported", LAMP, 0)
    assert life.seen() == (CONNECTED, 0, None)


def test_who_closes_its_session_has_left():
    life = Life()
    for first in ((), ("unanswered",)):
        life.does("connected", LAMP)
        for name in first:
            life.does(name, LAMP)
        life.does("ended", LAMP)
        assert life.wait(10_000) == [] and life.seen() == (LEFT, 10_000, None)
    assert life.presence.news() == [], "it came and went"


def test_who_had_a_session_when_the_manager_stopped_is_awaited():
    life = Life()
    life.does("expected", LAMP)
    life.does("expected", FAN)
    assert life.seen() == (RETURNING, None, None)
    life.presence.restored(LAMP, SILENT, life.now, 5000)
    life.presence.restored(FAN, RETURNING, life.now, 7)
    life.does("expected", LAMP)  # of another group
    assert life.seen() == (SILENT, 5000, None) and life.seen(FAN) == (RETURNING, 7, None)
    life.presence.restored(b"cat", ASLEEP, life.now, 10, 100)
    assert life.seen(b"cat") == (ASLEEP, 10, 100)
    life.does("connected", LAMP)
    life.presence.restored(LAMP, LEFT, life.now, 9)
    assert life.seen() == (CONNECTED, 0, None)
    life.does("asked", FAN)
    life.wait(59)
    assert life.seen(FAN)[0] == RETURNING
    life.wait(1)
    assert life.seen(FAN) == (SILENT, 67, None)
    life.wait(silent_s(REPORT_MAX_S) - 60)
    assert life.seen(FAN) == (SILENT, 677, None) and life.seen(b"cat")[0] == SILENT


def test_nobody_is_silent_because_the_manager_was_stopped():
    life = Life()
    life.does("connected", LAMP)
    life.does("connected", FAN)
    life.does("asked", FAN)
    life.now = ticks_add(life.now, 900_000)
    life.presence.excuse(900_000)
    assert life.wait(29) == [] and life.seen() == (CONNECTED, 929, None) and life.seen(FAN)[0] == CONNECTED
    assert life.wait(1) == [] and life.seen(FAN)[0] == SILENT
    assert life.wait(silent_s(REPORT_MAX_S) - 31) == [] and sorted(life.wait(1)) == [FAN, LAMP]


def test_ages_are_true_beyond_the_period_of_ticks():
    life = Life()
    life.does("connected", LAMP)
    life.does("connected", FAN)
    life.does("reported", FAN, 100 * 86_400)
    life.wait(40 * 86_400)
    assert life.seen() == (SILENT, 40 * 86_400, None) and life.seen(FAN) == (ASLEEP, 40 * 86_400, 60 * 86_400)
    life.does("connected", LAMP)
    assert life.seen() == (CONNECTED, 0, None)


def test_memory_is_bounded_by_the_devices():
    life = Life()
    for number in range(20):
        life.does("connected", b"%d" % number)
    for _ in range(100):
        for number in range(20):
            life.does("asked", b"%d" % number)
            life.does("heard", b"%d" % number)
        life.wait(31)
    assert len(life.presence._queue) <= 2 * 20 + 64
    for number in range(20):
        life.presence.forget(b"%d" % number)
        for name in ("heard", "asked", "unanswered", "ended"):
            life.does(name, b"%d" % number)
    life.does("reported", b"1", 7)
    assert life.presence.known() == life.presence.news() == []
    assert life.wait(10_000) == [] and life.presence._queue == []
