# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The knowledge of a manager that it leads, between two answers of the database: the logic of `leader`, without input or output.

The database ends the session that holds the lock LEASE_S after its last query. So until then, by our clock and less a margin for
clocks that run differently, nobody else leads. A process that was stopped, or hung, cannot know for how long; so its event loop
measures its own pauses, and after a long one nothing is trusted before the next answer.
"""

import time

HEARTBEAT_S = 1.0  # between two queries on the session that holds the lock
LEASE_S = 4.0  # without a query, then the database ends that session
MARGIN_S = 0.5  # clocks that run differently by 12 percent
LOOP_S = 0.25  # how often the event loop says that it runs
SILENT_S = 2.5  # without that, the process hangs or was stopped; longer than CALL_S, for which a database that is away may block
GIVE_UP_S = 300.0  # without the database: then members had better have no manager than one that another may have replaced
POLL_S = 0.5  # of a standby
CALL_S = 2.0  # statement and lock time-outs of the database, and time-outs of its connections


def boottime():
    """Return seconds by a clock that goes on while the computer sleeps, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """The lease of one leader. Times are seconds of one clock; calls come from several threads, each of them sets one attribute."""

    def __init__(self, now):
        """A lease that begins with a query that was sent at `now`, and answered."""
        self._sent = now  # when the latest query was sent that was answered
        self._woken = None  # when the last long pause ended; None: the database has answered since
        self._looped = now

    def answered(self, sent):
        """Note the answer to a query that was sent at `sent` on the session that holds the lock: it was held then."""
        self._sent = max(self._sent, sent)
        if self._woken is not None and sent >= self._woken:
            self._woken = None

    def looped(self, now):
        """Note that the event loop runs; call it each LOOP_S."""
        if self.hangs(now):
            self._woken = now  # the heartbeats have ended meanwhile
        self._looped = now

    def hangs(self, now):
        """Return whether the event loop does not run any more, so that the heartbeats must end."""
        return now - self._looped > SILENT_S

    def forlorn(self, now):
        """Return whether the database has not answered for so long that the process must end."""
        return now - self._sent > GIVE_UP_S

    def awake(self, now):
        """Return whether the process may send at all: it was not stopped, and did not hang, since the last answer."""
        return self._woken is None and not self.hangs(now)

    def sure(self, now):
        """Return whether nobody else can lead at this moment."""
        return self.awake(now) and now - self._sent < LEASE_S - MARGIN_S
