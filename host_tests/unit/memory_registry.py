# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in memory, without SQLite: it shows that the manager's service needs only the interface."""

import contextlib
import copy
import dataclasses
import time

from dicectl.manager.registry.base import Registry, StoredGroup, entry


class MemoryRegistry(Registry):
    """A registry whose transactions are copies. `before_write`, if set, is called before each change and may raise."""

    def __init__(self, now=time.time):
        super().__init__(now)
        self.before_write = None
        self._stored = {"devices": {}, "groups": {}, "log": []}
        self._nested = False
        self.opened()

    def close(self):
        """Do nothing."""

    @contextlib.contextmanager
    def transaction(self):
        """Restore the state from the beginning of the block if the block raises."""
        if self._nested:
            yield
            return
        before, self._nested = copy.deepcopy(self._stored), True
        try:
            self._check()
            yield
            self._check()
        except BaseException:
            self._stored = before
            raise
        finally:
            self._nested = False

    def _check(self):
        if self.before_write:
            self.before_write()

    def devices(self):
        self._check()
        return {name: identity for name, (identity, _) in sorted(self._stored["devices"].items())}

    def find(self, identity):
        return dict(self._stored["devices"].values()).get(identity)

    def store_device(self, identity, name, key):
        self._check()
        self._stored["devices"][name] = (identity, key)

    def store_name(self, name, other):
        self._check()
        self._stored["devices"][other] = self._stored["devices"].pop(name)

    def delete_device(self, name):
        self._check()
        del self._stored["devices"][name]

    def states(self):
        return [StoredGroup(g.state.copy(), g.rekey_s, g.since) for _, g in sorted(self._stored["groups"].items())]

    def since(self, name):
        return self._stored["groups"][name].since

    def restamp(self, name, since):
        self._check()
        self._stored["groups"][name] = dataclasses.replace(self._stored["groups"][name], since=since)

    def store_group(self, state, rekey_s):
        self._check()
        self._stored["groups"][state.name] = StoredGroup(state.copy(), rekey_s, self.now())

    def store_changes(self, state, change):
        self._check()
        old = self._stored["groups"][state.name]
        since = self.now() if "epoch" in change.fields else old.since
        after = old.state.copy()
        after.apply(change)
        self._stored["groups"][state.name] = StoredGroup(after, old.rekey_s, since)

    def append(self, event, group, device, detail):
        self._check()
        log = self._stored["log"]
        log.append(entry(len(log) + 1, self.now(), event, group, device, detail))

    def audit(self, after=0):
        return self._stored["log"][after:]
