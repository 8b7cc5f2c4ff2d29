# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The interface of a registry: devices with their keys, groups with theirs, and the audit log.

Rules for every implementation:

* A call that changes something is one transaction together with its entries in the audit log. When the call returns, the change is
  durable: it survives a power failure. When the call raises, nothing of it was stored.
* Calls inside `with registry.together():` are one transaction, which is durable when the block ends. If the block raises, all of
  them are undone.
* One process at a time has a registry open. Two would give one SenderID to two devices, which repeats nonces.
* The calls are synchronous. PSK lookups happen inside a handshake, so find() has to answer from a local disk or from memory.
* A storage error is raised as RegistryError; a request that cannot be met (a name that is taken) is a CommandError.
* Keys are secrets: the storage is readable by its owner only, and no key is ever written to the log. When wipe() or commit()
  returns, the files of the storage have no copy of a key that was deleted or replaced; while another process reads them, that may
  take until the next change.
"""

import abc
import contextlib
import json
import secrets
import time
from dataclasses import dataclass

from dice.group.manager import GroupState
from dicectl.errors import USAGE, CommandError

_KEY_BYTES = 16
_IDENTITY_BYTES = 8


class RegistryError(Exception):
    """The storage failed; nothing of the change was stored."""


@dataclass(frozen=True)
class StoredGroup:
    """A group as it is stored."""

    state: GroupState
    rekey_s: int  # seconds between two automatic re-keys; 0: none
    since: float  # when the current epoch began, by the clock of the registry


class Registry(abc.ABC):
    """An open registry. `now()` returns seconds since 1970: a wall clock, for the log and for periods of days.

    An implementation provides the abstract methods, and calls opened() at the end of its __init__.
    """

    def __init__(self, now=time.time):
        self.now = now
        self._names = {}

    def opened(self):
        """Read the names of all devices."""
        self._names = {identity: name for name, identity in self.devices().items()}

    @abc.abstractmethod
    def close(self):
        """Close the registry, so that another process can open it."""

    @abc.abstractmethod
    def transaction(self):
        """Return a context manager: durable when its block ends, undone if it raises. A nested one is part of the outer one."""

    @contextlib.contextmanager
    def together(self):
        """Make all changes of the block one transaction."""
        names = dict(self._names)
        try:
            with self.transaction():
                yield
        except BaseException:
            self._names = names
            raise

    # Devices.

    @abc.abstractmethod
    def devices(self):
        """Return {name: identity} of all devices, sorted by name."""

    @abc.abstractmethod
    def find(self, identity):
        """Return the key of an identity, or None; for dice.PskLookup."""

    @abc.abstractmethod
    def store_device(self, identity, name, key):
        """Store a new device, without a log entry."""

    @abc.abstractmethod
    def store_name(self, name, other):
        """Change the name of a device, without a log entry."""

    @abc.abstractmethod
    def delete_device(self, name):
        """Delete a device and its key, without a log entry."""

    def name(self, identity):
        """Return the name of a device, or None."""
        return self._names.get(identity)

    def enrol(self, name):
        """Create a device with a random identity and a random key, and return both; raises CommandError if the name is taken."""
        identity = secrets.token_hex(_IDENTITY_BYTES).encode()
        key = secrets.token_bytes(_KEY_BYTES)
        if name in self.devices():
            raise CommandError(
                f"there is a device {name} already: choose another name, or run dicectl provision replace {name}", USAGE
            )
        with self.transaction():
            self.store_device(identity, name, key)
            self.log("enrolled", device=name, identity=identity.decode())
        self._names[identity] = name
        return identity, key

    def rename(self, name, other):
        """Give a device another name."""
        with self.transaction():
            self.store_name(name, other)
            self.log("renamed", device=name, to=other)
        self._names = {identity: name for name, identity in self.devices().items()}

    def wipe(self, name):
        """Delete a device and its key. The device must have left every group."""
        with self.transaction():
            self.delete_device(name)
            self.log("wiped", device=name)
        self._names = {identity: name for name, identity in self.devices().items()}

    # Groups.

    @abc.abstractmethod
    def states(self):
        """Return a list of StoredGroup, sorted by name; members keep the order in which they were added."""

    @abc.abstractmethod
    def since(self, name):
        """Return when the current epoch of a group began."""

    def restamp(self, name, since):
        """Correct the time that since() returns, because the clock was set; optional."""
        return

    @abc.abstractmethod
    def store_group(self, state, rekey_s):
        """Store a new group without members, without a log entry."""

    @abc.abstractmethod
    def store_changes(self, state, change):
        """Store a group_state.Change of the GroupState `state`, which is that before it, without a log entry.

        A new epoch begins now().
        """

    def create(self, state, rekey_s):
        """Store a new group."""
        with self.transaction():
            self.store_group(state, rekey_s)
            self.log("group", state.name, gid=state.gid.hex())

    def commit(self, state, change):
        """Store a Change of the GroupState of a group; for dice.group.manager.Manager."""
        with self.transaction():
            self.store_changes(state, change)
            for event, identity, detail in _events(state, change):
                self.log(event, state.name, identity and self.name(identity), **detail)

    # The audit log.

    @abc.abstractmethod
    def append(self, event, group, device, detail):
        """Append an entry with the time now(), as part of the current transaction; entries are numbered from 1, without gaps."""

    @abc.abstractmethod
    def audit(self, after=0):
        """Return the entries with numbers above `after`: dicts as entry() makes them."""

    def log(self, event, group=None, device=None, **detail):
        """Append an entry."""
        self.append(event, group, device, json.dumps(detail))


def entry(number, at, event, group, device, detail):
    """Return an entry of the audit log as a dict; `detail` is the JSON that append() stored."""
    return {"number": number, "at": at, "event": event, "group": group, "device": device, **json.loads(detail)}


def _events(state, change):
    """Yield (event, identity or None, detail) for what a Change of a GroupState does."""
    for identity, member in change.members.items():
        if member is None:
            yield "removed", identity, {}
    for identity, member in change.members.items():
        old = state.members.get(identity)
        if member is None:
            continue
        if old is None:
            yield "added", identity, {"role": member.role, "id": member.id}
            continue
        if member.held > old.held:
            yield "acknowledged", identity, {"epoch": member.held}
        if member.id != old.id:
            yield "id", identity, {"id": member.id}
    epoch = change.fields.get("epoch", state.epoch)
    if epoch != state.epoch:
        yield "epoch", None, {"epoch": epoch, "new_master_key": "tgk" in change.fields}
    if change.fields.get("active") and not state.active:
        yield "active", None, {"epoch": epoch}
