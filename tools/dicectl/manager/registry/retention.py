# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The upkeep of a registry while a manager runs: entries of the audit log that are too old, and keys that were deleted.

There is one acknowledgement for each member and epoch: those are kept for ACKNOWLEDGED_KEEP_S. All others are kept, unless the
operator sets a time (KEEP). Entries are deleted some thousand at a time, so that the manager answers in between.
"""

from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.changes import ACKNOWLEDGED

ACKNOWLEDGED_KEEP_S = 30 * 86_400
KEEP = "audit_keep_s"  # the setting: how long entries of all events are kept, 0 or None forever
CHUNK = 5000
_FIRST_S = 60.0
_EACH_S = 3600.0
_NEXT_S = 1.0
_CHECKPOINT_S = 60.0


class Retention:
    """Prunes the log of a registry and makes checkpoints, by `later(seconds, function)`, such as call_later of a loop."""

    def __init__(self, registry):
        self._registry = registry
        self._later = None

    def start(self, later):
        """Prune in a minute, and each hour then; make a checkpoint each minute."""
        self._later = later
        later(_FIRST_S, self._run)
        later(_CHECKPOINT_S, self._checkpoint)

    def stop(self):
        """Do nothing more."""
        self._later = None

    def _run(self):
        if self._later is None:
            return
        more = False
        try:
            more = self.prune()
        except RegistryError:  # write_error of the registry has it
            pass
        finally:
            self._later(_NEXT_S if more else _EACH_S, self._run)

    def _checkpoint(self):
        if self._later is None:
            return
        try:
            self._registry.checkpoint()
        except RegistryError:  # the next change has it, too
            pass
        finally:
            self._later(_CHECKPOINT_S, self._checkpoint)

    def prune(self):
        """Delete some of the entries that are too old; return whether there may be more. Raises RegistryError."""
        now = self._registry.now()
        kept = [(ACKNOWLEDGED_KEEP_S, ACKNOWLEDGED), (self._registry.setting(KEEP), None)]
        counts = [self._registry.prune(now - seconds, event, CHUNK) for seconds, event in kept if seconds]
        return CHUNK in counts
