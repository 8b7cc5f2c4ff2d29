# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The devices of a manager that are awake, by when each has sent something last; the sans-IO core of that.

presence = Presence()
presence.connected(identity, now), presence.heard(identity, now), presence.ended(identity, now)
presence.timeout(presence.deadline())
presence.find(identity, now).state

All that is fed in was authenticated: it came over the session of that device. docs/protocol.md, section 15, has the states. There
is one row for each device that had a session; forget() it with the device.

Ages are counted here, in ms that do not wrap: ticks are compared with those of the last call only, and deadline() asks for a call
at least each hour. The ages from before a start of the manager are those of a wall clock, and are for display.
"""

from heapq import heapify, heappop, heappush

from .._compat import const, ticks_add, ticks_diff
from .._typing import TYPING
from ..limits import REPORT_MAX_S

CONNECTED = "connected"
RETURNING = "returning"  # had a session when the manager stopped
ASLEEP = "asleep"  # has said when it will be back
SILENT = "silent"  # a report is missing, or the answer to a request
LEFT = "left"  # has closed its session in good order
NEVER = "never seen"

_UNANSWERED_MS = const(30_000)  # four of the five datagrams of a CoAP request
_CALLED_MS = const(60_000)  # for a device that is called back to connect
_MARGIN_MIN_S = const(10)
_WAKING_S = const(60)  # for a device that has slept to start and to connect
_TICK_MS = const(3_600_000)  # between two calls of timeout(), at the most
_STALE_MAX = const(64)  # entries of the heap that count no more

if TYPING:
    from typing import Any


def silent_s(period_s: int) -> int:
    """Return after how many s without a word a device is silent that reports every `period_s`: a tenth and 10 s more.

    A report is due within 5 s, and its last retransmission takes 45 s.
    """
    return period_s + period_s // 10 + _MARGIN_MIN_S


class Seen:
    """The `state` of a device; `heard_s`: the time since something arrived from it, `back_s`: until it will be back; or None."""

    def __init__(self, state: str, heard_s: "int | None" = None, back_s: "int | None" = None) -> None:
        self.state = state
        self.heard_s = heard_s
        self.back_s = back_s


class _Row:
    def __init__(self):
        self.state = NEVER
        self.heard = None  # in ms
        self.due = None  # when it is silent
        self.asked = None  # when it is silent, unless it answers
        self.back = None  # when a sleeping one will be back
        self.period_s = REPORT_MAX_S  # in which it reports
        self.queued = None  # its place in the heap


class Presence:
    """The states of all devices that have, or had, a session. Time is in ticks, as everywhere.

    `report_s`: the period in which a device reports, from its first report on.
    """

    def __init__(self, report_s: int = REPORT_MAX_S) -> None:
        self.report_s = report_s
        self._rows: dict[bytes, Any] = {}
        self._queue: list[tuple[int, bytes]] = []  # when to look at which
        self._news: dict[bytes, str] = {}  # the state before, of those that are silent or back since news()
        self._ms = 0  # since the first call
        self._now: int | None = None

    def connected(self, identity: bytes, now: int) -> None:
        """Note a new session."""
        row = self._row(identity, now)
        row.period_s = REPORT_MAX_S  # until its first report, whose response has another
        self._hear(identity, row, CONNECTED)

    def heard(self, identity: bytes, now: int) -> None:
        """Note that something arrived over the session of a device."""
        row = self._known(identity, now)
        if row:
            self._hear(identity, row, ASLEEP if row.state == ASLEEP else CONNECTED)

    def reported(self, identity: bytes, back_s: int, now: int) -> None:
        """Note a report, whose response has `report_s`: the device goes away and will be back within `back_s`, or it stays if 0."""
        row = self._known(identity, now)
        if row:
            row.period_s = self.report_s
            self._hear(identity, row, ASLEEP if back_s else CONNECTED, back_s)

    def asked(self, identity: bytes, now: int) -> None:
        """Note that a request is under way, or a call to a device that returns: without an answer in 30 or 60 s it is silent."""
        row = self._known(identity, now)
        if row and row.state in (CONNECTED, RETURNING) and row.asked is None:
            row.asked = self._ms + (_UNANSWERED_MS if row.state == CONNECTED else _CALLED_MS)
            self._enqueue(identity, row)

    def unanswered(self, identity: bytes, now: int) -> None:
        """Note that a request has timed out, after all retransmissions."""
        row = self._known(identity, now)
        if row and row.state == CONNECTED:
            self._become(identity, row, SILENT)

    def ended(self, identity: bytes, now: int) -> None:
        """Note the end of a session that the device knows of."""
        row = self._known(identity, now)
        if row and row.state in (CONNECTED, SILENT):
            row.due = row.asked = None
            self._become(identity, row, LEFT)

    def expected(self, identity: bytes, now: int) -> None:
        """Note that a device may have had a session when the manager stopped. It is awake, if it comes back in time."""
        if identity not in self._rows:
            self.restored(identity, RETURNING, now)

    def restored(self, identity: bytes, state: str, now: int, heard_s: "int | None" = None, back_s: int = 0) -> None:
        """Note in which state a device was when the manager stopped, the time since it sent something, and until it is back."""
        row = self._row(identity, now)
        if row.state not in (NEVER, RETURNING):
            return  # it has a session already, maybe for another group
        row.state = state
        row.heard = None if heard_s is None else self._ms - 1000 * heard_s
        row.back = row.due = None
        if state == RETURNING:
            row.due = self._ms + 1000 * silent_s(max(REPORT_MAX_S, self.report_s))
        elif state == ASLEEP:
            self._sleep(row, back_s)
        self._enqueue(identity, row)

    def forget(self, identity: bytes) -> None:
        """Forget a device that is deleted."""
        self._rows.pop(identity, None)
        self._news.pop(identity, None)

    def find(self, identity: bytes, now: int) -> Seen:
        """Return what is known of a device."""
        self._advance(now)
        row = self._rows.get(identity)
        if row is None:
            return Seen(NEVER)
        heard_s = None if row.heard is None else (self._ms - row.heard) // 1000
        back_s = max(0, (row.back - self._ms) // 1000) if row.state == ASLEEP else None
        return Seen(row.state, heard_s, back_s)

    def state(self, identity: bytes) -> str:
        """Return the state of a device as of the last call."""
        row = self._rows.get(identity)
        return row.state if row else NEVER

    def known(self) -> "list[bytes]":
        """Return the identities of all devices that were seen."""
        return list(self._rows)

    def news(self) -> "list[tuple[bytes, str]]":
        """Return (identity, state) of each device that has become silent, or has come back from that, since the last call."""
        news = [
            (i, self._rows[i].state) for i, before in self._news.items() if (before == SILENT) != (self._rows[i].state == SILENT)
        ]
        self._news = {}
        return news

    def deadline(self) -> "int | None":
        """Return the ticks at which timeout() must be called, or None before the first call of another."""
        if self._now is None:
            return None
        wait_ms = self._queue[0][0] - self._ms if self._queue else _TICK_MS
        return ticks_add(self._now, max(0, min(wait_ms, _TICK_MS)))

    def timeout(self, now: int) -> "list[bytes]":
        """Return the identities of devices that have missed a report: they have no session any more, whatever they think."""
        self._advance(now)
        over = []
        while self._queue and self._queue[0][0] <= self._ms:
            at, identity = heappop(self._queue)
            row = self._rows.get(identity)
            if row is None or row.queued != at:
                continue
            row.queued = None
            if row.due is not None and row.due <= self._ms:
                row.due = None
                over.append(identity)
                self._become(identity, row, SILENT)
            elif row.asked is not None and row.asked <= self._ms:
                self._become(identity, row, SILENT)
            self._enqueue(identity, row)
        return over

    def excuse(self, ms: int) -> None:
        """Give all devices `ms` more: the manager did not run for so long, and could receive nothing."""
        for row in self._rows.values():
            row.due = row.due and row.due + ms
            row.asked = row.asked and row.asked + ms

    def _advance(self, now):
        if self._now is not None:
            self._ms += max(0, ticks_diff(now, self._now))
        if self._now is None or ticks_diff(now, self._now) > 0:
            self._now = now

    def _known(self, identity, now):
        self._advance(now)
        return self._rows.get(identity)

    def _row(self, identity, now):
        row = self._known(identity, now)
        if row is None:
            row = self._rows[identity] = _Row()
        return row

    def _hear(self, identity, row, state, back_s=0):
        row.heard = self._ms
        row.asked = None
        if state != ASLEEP:
            row.back = None
            row.due = self._ms + 1000 * silent_s(row.period_s)
        elif back_s:
            self._sleep(row, back_s)
        self._become(identity, row, state)
        self._enqueue(identity, row)

    def _sleep(self, row, back_s):
        row.back = self._ms + 1000 * back_s
        row.due = self._ms + 1000 * (silent_s(back_s) + _WAKING_S)

    def _become(self, identity, row, state):
        if state == SILENT:
            row.asked = None
        if state != row.state:
            if SILENT in (state, row.state):
                self._news.setdefault(identity, row.state)
            row.state = state

    def _enqueue(self, identity, row):
        """Look at a row when it is due, if it is not looked at before."""
        at = row.due if row.asked is None or (row.due is not None and row.due < row.asked) else row.asked
        if at is not None and (row.queued is None or at < row.queued):
            row.queued = at
            heappush(self._queue, (at, identity))
            if len(self._queue) > 2 * len(self._rows) + _STALE_MAX:
                self._queue = [(row.queued, i) for i, row in self._rows.items() if row.queued is not None]
                heapify(self._queue)
