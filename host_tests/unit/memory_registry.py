# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in memory, without a database: it shows that the manager's service needs only the interface."""

import time

from dicectl.manager.registry.base import Registry, StoredGroup


class MemoryRegistry(Registry):
    """A registry whose transactions are copies. `before_write`, if set, is called before each change and may raise."""

    def __init__(self, now=time.time):
        super().__init__(now)
        self.before_write = None
        tables = ("devices", "groups", "sessions", "settings", "key_changes", "public", "own", "told")
        self._stored = {**{name: {} for name in tables}, "log": []}
        self._before = None
        self.opened()

    def saved(self):
        """Return a copy of all that is stored, as a file would keep it."""
        self.flush()
        return _copied(self._stored)

    def load(self, stored):
        """Continue with what saved() returned."""
        self._stored = _copied(stored)
        self.opened()

    def close_storage(self):
        """Do nothing."""

    def begin(self):
        self._check()
        self._before = _copied(self._stored)

    def end(self, durable):
        if durable:
            self._check()
        else:
            self._stored = self._before

    def _check(self):
        if self.before_write:
            self.before_write()

    def read_devices(self):
        return [(identity, name, key) for identity, (name, key) in self._stored["devices"].items()]

    def made(self, identity):
        times = [entry["at"] for entry in self._stored["log"] if entry.get("identity") == identity.decode()]
        return times[0] if times else None

    def store_device(self, identity, name, key):
        self._check()
        self._stored["devices"][identity] = (name, key)

    def read_key_changes(self):
        return [(identity, *change) for identity, change in self._stored["key_changes"].items()]

    def store_key_change(self, identity, key_number, next_key, key=None):
        self._check()
        self._stored["key_changes"][identity] = (key_number, next_key)
        if key is not None:
            self._stored["devices"][identity] = (self._stored["devices"][identity][0], key)

    def read_public_keys(self):
        return dict(self._stored["public"])

    def store_public_key(self, identity, key):
        self._check()
        self._stored["public"][identity] = key

    def read_own_keys(self):
        return dict(self._stored["own"])

    def write_own_key(self, name, private):
        self._check()
        self._stored["own"][name] = private

    def read_told(self):
        return dict(self._stored["told"])

    def store_told(self, told):
        self._check()
        self._stored["told"].update(told)

    def store_name(self, identity, name):
        self._check()
        self._stored["devices"][identity] = (name, self._stored["devices"][identity][1])

    def delete_device(self, identity):
        self._check()
        del self._stored["devices"][identity]
        self._stored["sessions"].pop(identity, None)
        self._stored["key_changes"].pop(identity, None)
        self._stored["public"].pop(identity, None)
        self._stored["told"].pop(identity, None)

    def read_states(self):
        return [StoredGroup(g["state"].copy(), g["rekey_s"], g["since"]) for _, g in sorted(self._stored["groups"].items())]

    def store_group(self, state, rekey_s, since):
        self._check()
        self._stored["groups"][state.name] = {"state": state.copy(), "rekey_s": rekey_s, "since": since}

    def store_group_fields(self, name, **fields):
        self._check()
        self._stored["groups"][name].update(fields)

    def remove_group(self, name):
        self._check()
        del self._stored["groups"][name]

    def store_changes(self, state, change):
        self._check()
        self._stored["groups"][state.name]["state"].apply(change)

    def store_held(self, rows):
        for group, identity, record in rows:
            self._stored["groups"][group]["state"].members[identity] = record

    def store_session_rows(self, rows):
        for identity, session in rows.items():
            if session is None:
                self._stored["sessions"].pop(identity, None)
            else:
                self._stored["sessions"][identity] = session

    def sessions(self):
        self.flush()
        return dict(self._stored["sessions"])

    def read_settings(self):
        return dict(self._stored["settings"])

    def write_setting(self, name, value):
        self._check()
        self._stored["settings"][name] = value

    def append(self, entries):
        self._check()
        self._stored["log"] += entries

    def read_audit(self, after, limit):
        found = [entry for entry in self._stored["log"] if entry["number"] > after]
        return found if limit is None else found[:limit]

    def last_number(self):
        return self._stored["log"][-1]["number"] if self._stored["log"] else 0

    def delete_entries(self, before, event, limit):
        found = [e["number"] for e in self._stored["log"] if e["at"] < before and event in (None, e["event"])][:limit]
        self._stored["log"] = [entry for entry in self._stored["log"] if entry["number"] not in found]
        return len(found)


def _copied(stored):
    """Return a copy; keys, records of members and entries of the log are values that nobody changes."""
    groups = {name: {**group, "state": group["state"].copy()} for name, group in stored["groups"].items()}
    tables = {name: dict(rows) for name, rows in stored.items() if name not in ("groups", "log")}
    return {**tables, "groups": groups, "log": list(stored["log"])}
