# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The upkeep of a registry while a manager runs: entries of the audit log that are too old, and keys that were deleted.

There is one acknowledgement for each member and epoch: those are kept for ACKNOWLEDGED_KEEP_S. All others are kept, unless the
operator sets a time (KEEP). Entries are deleted some thousand at a time, so that the manager answers in between.

Nobody can bring back deleted entries, and a computer may start with a date that is wrong by years. So entries are pruned by
a date of the registry's own (DATE), which follows that of the computer by FOLLOWED_DAYS at most for each day that the manager
runs: a wrong date costs no more, and after a year in which the manager was off, pruning has caught up in two months. The
earlier one of both dates counts. An operator who knows that the computer's date is right says so with keep().
"""

import contextlib
import datetime

from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.changes import ACKNOWLEDGED

ACKNOWLEDGED_KEEP_S = 30 * 86_400
KEEP = "audit_keep_s"  # the setting: how long entries of all events are kept, 0 or None forever
DATE = "audit_date"  # the setting: the date by which entries are pruned, as seconds since 1970
FOLLOWED_DAYS = 7  # for each day that the manager runs
HELD_BACK_S = 30 * 86_400  # worth a word to the operator: after a holiday all is well
CHUNK = 5000
_FIRST_S = 60.0
_EACH_S = 3600.0
_NEXT_S = 1.0
_CHECKPOINT_S = 60.0


def keep(registry, keep_s):
    """Set how long entries are kept, 0 forever; the operator says with it that the date is right."""
    with registry.together():
        registry.store_setting(KEEP, keep_s)
        registry.store_setting(DATE, registry.now())


class Retention:
    """Prunes the log of a registry and makes checkpoints, by `later(seconds, function)`, such as call_later of a loop."""

    def __init__(self, registry):
        self._registry = registry
        self._later = None
        self._first = None  # the date to begin with, if the registry has none
        self._waited_s = 0.0  # what _run() was asked to wait: that time has passed, whatever the date says

    def start(self, later):
        """Prune in a minute, and each hour then; make a checkpoint each minute."""
        self._later = later
        with contextlib.suppress(RegistryError):  # then at the first run
            self._date()  # before this process writes anything
        self._run_in(_FIRST_S)
        later(_CHECKPOINT_S, self._checkpoint)

    def stop(self):
        """Do nothing more."""
        self._later = None

    def problems(self):
        """Return sentences about what is wrong now, for an operator."""
        date, keep_s = self._date(), self._registry.setting(KEEP) or 0
        late_s = self._registry.now() - date
        if late_s <= HELD_BACK_S:
            return []
        day = datetime.datetime.fromtimestamp(date, datetime.timezone.utc).date()
        what = f"the computer's date is {late_s // 86_400:.0f} days ahead of the audit log's, so that this is pruned as on {day}"
        kept = f"{keep_s}s" if keep_s % 86_400 else f"{keep_s // 86_400}d" if keep_s else "0"
        return [f"{what}: set the clock; or if it is right: dicectl manager audit --keep {kept}"]

    def _run_in(self, seconds):
        self._waited_s = seconds
        self._later(seconds, self._run)

    def _run(self):
        if self._later is None:
            return
        more = False
        try:
            more = self.prune(self._waited_s)
        except RegistryError:  # write_error of the registry has it
            pass
        finally:
            self._run_in(_NEXT_S if more else _EACH_S)

    def _checkpoint(self):
        if self._later is None:
            return
        try:
            self._registry.checkpoint()
        except RegistryError:  # the next change has it, too
            pass
        finally:
            self._later(_CHECKPOINT_S, self._checkpoint)

    def _date(self):
        """Return the date that entries were pruned by last; at first it is that of the last entry."""
        date = self._registry.setting(DATE)
        if date is None and self._first is None:
            number, now = self._registry.last_entry, self._registry.now()
            self._first = min([now, *(entry["at"] for entry in self._registry.audit(number - 1))]) if number else now
        return self._first if date is None else date

    def _follow(self, elapsed_s):
        """Bring the date nearer to that of the computer, which has run for `elapsed_s` since; return it. Raises RegistryError."""
        date, now, most_s = self._date(), self._registry.now(), FOLLOWED_DAYS * elapsed_s
        followed = max(date - most_s, min(date + most_s, now))
        if followed != self._registry.setting(DATE):
            self._registry.store_setting(DATE, followed)
        return followed

    def prune(self, elapsed_s=0.0):
        """Delete some of the entries that are too old; return whether there may be more. Raises RegistryError.

        `elapsed_s`: since the last call, by a clock that nobody sets.
        """
        now = min(self._registry.now(), self._follow(elapsed_s))
        kept = [(ACKNOWLEDGED_KEEP_S, ACKNOWLEDGED), (self._registry.setting(KEEP), None)]
        counts = [self._registry.prune(now - seconds, event, CHUNK) for seconds, event in kept if seconds]
        return CHUNK in counts
