# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How long a running manager keeps the entries of its audit log.

There is one acknowledgement for each member and epoch: those are kept for ACKNOWLEDGED_KEEP_S. All others are kept, unless the
operator gives a time. Entries are deleted some thousand at a time, so that the manager answers in between.
"""

from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.changes import ACKNOWLEDGED

ACKNOWLEDGED_KEEP_S = 30 * 86_400
CHUNK = 5000
_FIRST_S = 60.0
_EACH_S = 3600.0
_NEXT_S = 1.0


class Retention:
    """Prunes the log of a registry, by `later(seconds, function)`, such as call_later of a loop."""

    def __init__(self, registry, keep_s=0):
        """`keep_s`: how long entries of all events are kept, 0 forever."""
        self._registry = registry
        self._keep_s = keep_s
        self._later = None

    def start(self, later):
        """Prune in a minute, and each hour then."""
        self._later = later
        later(_FIRST_S, self._run)

    def stop(self):
        """Prune no more."""
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

    def prune(self):
        """Delete some of the entries that are too old; return whether there may be more. Raises RegistryError."""
        now = self._registry.now()
        kept = [(ACKNOWLEDGED_KEEP_S, ACKNOWLEDGED)]
        if self._keep_s:
            kept.append((self._keep_s, None))
        counts = [self._registry.prune(now - seconds, event, CHUNK) for seconds, event in kept]
        return CHUNK in counts
