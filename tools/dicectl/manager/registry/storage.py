# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The storage of a registry, which an implementation provides: the calls by which base.Registry reads and writes it.

Calls that store, append or delete are made within begin() and end(). A storage error is raised as RegistryError.
"""

import abc
import json
from dataclasses import dataclass

from dice.group.manager import GroupState
from dicectl.errors import CommandError


class RegistryError(Exception):
    """The storage failed; nothing of the change was stored."""


class NotLeader(RegistryError):
    """Another manager has taken over this registry: this one can never write again."""


class Occupied(CommandError):
    """Another manager has this registry open."""


@dataclass(frozen=True)
class StoredGroup:
    """A group as it is stored."""

    state: GroupState
    rekey_s: int  # seconds between two automatic re-keys; 0: none
    since: float  # when the current epoch began, by the clock of the registry


@dataclass(frozen=True)
class StoredSession:
    """A session of a member with the manager, as it is stored."""

    address: object  # a plain JSON value
    token: bytes  # a secret that recalls the member; b"" if it cannot be recalled
    heard: float  # when something was last received, by the clock of the registry
    state: str = "connected"
    back: float = 0.0  # when a device that sleeps will be back, by the same clock; 0: it does not

    def __repr__(self):
        return f"StoredSession({self.address!r}, heard={self.heard}, state={self.state!r}, back={self.back})"


class Storage(abc.ABC):
    """The storage of a registry."""

    @abc.abstractmethod
    def close_storage(self):
        """Close the storage, so that another process can open it."""

    @abc.abstractmethod
    def begin(self):
        """Begin a transaction; raises RegistryError."""

    @abc.abstractmethod
    def end(self, durable):
        """Make the transaction durable, or undo it, which raises nothing."""

    @abc.abstractmethod
    def read_devices(self):
        """Return (identity, name, key) of all devices."""

    @abc.abstractmethod
    def made(self, identity):
        """Return when a device was created, or None."""

    @abc.abstractmethod
    def store_device(self, identity, name, key):
        """Store a new device."""

    @abc.abstractmethod
    def store_name(self, identity, name):
        """Change the name of a device."""

    @abc.abstractmethod
    def delete_device(self, identity):
        """Delete a device, its key, and its session."""

    @abc.abstractmethod
    def read_key_changes(self):
        """Return (identity, key_number, next_key) of all devices whose key was changed, or is about to."""

    @abc.abstractmethod
    def store_key_change(self, identity, key_number, next_key, key=None):
        """Store how often the key of a device was changed, its next key or None, and its present key unless that is None."""

    @abc.abstractmethod
    def read_public_keys(self):
        """Return {identity: public_keys.PublicKey} of all devices that have one."""

    @abc.abstractmethod
    def store_public_key(self, identity, key):
        """Store or replace the public_keys.PublicKey of a device; delete_device() deletes it."""

    @abc.abstractmethod
    def read_own_keys(self):
        """Return {name: private key} of the manager."""

    @abc.abstractmethod
    def write_own_key(self, name, private):
        """Store a private key of the manager, in place of the one of this name."""

    @abc.abstractmethod
    def read_told(self):
        """Return {identity: number} of what store_told() stored; 0 may be missing."""

    @abc.abstractmethod
    def store_told(self, told):
        """Store {identity: number of the list of managers that a device has acknowledged}."""

    @abc.abstractmethod
    def read_states(self):
        """Return a list of StoredGroup, sorted by name; members keep the order in which they were added."""

    @abc.abstractmethod
    def store_group(self, state, rekey_s, since):
        """Store a new group without members."""

    @abc.abstractmethod
    def store_changes(self, state, change):
        """Store a group_state.Change of the GroupState `state`, which is that before it."""

    @abc.abstractmethod
    def store_group_fields(self, name, **fields):
        """Store fields of StoredGroup: rekey_s, since."""

    @abc.abstractmethod
    def remove_group(self, name):
        """Delete a group and its members."""

    @abc.abstractmethod
    def store_held(self, rows):
        """Store the MemberRecords of members that acknowledged: (group, identity, record)."""

    @abc.abstractmethod
    def store_session_rows(self, rows):
        """Store or delete sessions: {identity: StoredSession or None}."""

    @abc.abstractmethod
    def sessions(self):
        """Return {identity: StoredSession}."""

    @abc.abstractmethod
    def read_settings(self):
        """Return {name: JSON value} of what write_setting() stored."""

    @abc.abstractmethod
    def write_setting(self, name, value):
        """Store or replace a JSON value."""

    @abc.abstractmethod
    def append(self, entries):
        """Append entries of the audit log, dicts as entry() makes them, in the current transaction."""

    @abc.abstractmethod
    def read_audit(self, after, limit):
        """Return the first `limit` entries with numbers above `after`, or all, from the storage."""

    @abc.abstractmethod
    def last_number(self):
        """Return the number of the last entry, or 0."""

    @abc.abstractmethod
    def delete_entries(self, before, event, limit):
        """Delete the oldest entries from before a time, at most `limit`, of one event or of all; return how many."""

    def checkpoint(self):
        """Bring all that is durable into the storage's main file, if it has such a thing."""
        return

    def settled(self):
        """Note that all groups have new keys: a file that was `restored` is one no more."""
        return


def entry(number, at, event, group, device, detail):
    """Return an entry of the audit log as a dict; `detail` is the JSON of its further values."""
    return {"number": number, "at": at, "event": event, "group": group, "device": device, **json.loads(detail)}


def detail_of(entry):
    """Return the JSON of the further values of an entry."""
    return json.dumps({name: value for name, value in entry.items() if name not in ("number", "at", "event", "group", "device")})
