# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The interface of a registry: devices with their keys, groups with theirs, the sessions of members, and the audit log.

Rules for every implementation:

* A call that changes something is one transaction together with its entries in the audit log. When the call returns, the change is
  durable: it survives a power failure. When the call raises, nothing of it was stored, and nothing in memory has changed.
* Acknowledgements of members and their sessions may wait up to WAIT_S, if `later` is set: then many are one transaction. They are
  part of every other transaction that comes first, so the order is kept. A crash loses what waits, and costs a repeated delivery.
* Calls inside `with registry.together():` are one transaction, which is durable when the block ends. If the block raises, all of
  them are undone.
* One process at a time has a registry open. Two would give one SenderID to two devices, which repeats nonces.
* The calls are synchronous. PSK lookups happen inside a handshake, so devices, keys and times are in memory: reading them, and the
  latest entries of the log, never waits for the storage.
* A storage error is raised as RegistryError; a request that cannot be met (a name that is taken) is a CommandError. After a
  RegistryError the next call tries again.
* Keys are secrets: the storage is readable by its owner only, and no key is ever written to the log or into an error. Each
  implementation states how long the bytes of keys that were deleted or replaced remain.
"""

import contextlib
import json
import secrets
import time
from collections import deque

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import psk_identity as psk
from dicectl.manager.registry.changes import acknowledges, events
from dicectl.manager.registry.keys import NO_KEY, PSK_BYTES, Keys
from dicectl.manager.registry.storage import NotLeader, Occupied, RegistryError, StoredGroup, StoredSession, entry
from dicectl.manager.registry.waiting import Waiting

__all__ = ["NotLeader", "Occupied", "Registry", "RegistryError", "StoredGroup", "StoredSession", "entry"]

WAIT_S = 0.1  # how long acknowledgements and sessions wait for others at most
_RETRY_S = 1.0
_IDENTITY_BYTES = 8
_RECENT_MAX = 1000  # entries of the audit log in memory


class Registry(Keys):
    """An open registry. `now()` returns seconds since 1970: a wall clock, for the log and for periods of days.

    An implementation provides the abstract methods, and calls opened() at the end of its __init__.

    * `later(seconds, function)`, such as call_later of a loop, lets acknowledgements and sessions wait; None writes them at once.
    * `on_reload()` is called when the storage turns out to have a change that was reported as failed: states() has it.
    * `restored`: this is a copy that was made earlier, see file_marks.
    * `write_error` is the RegistryError of the last transaction, or None if it succeeded.
    """

    def __init__(self, now=time.time):
        super().__init__()
        self.now = now
        self.later = None
        self.on_reload = None
        self.write_error = None
        self.restored = False
        self._identities = {}  # by name
        self._sorted = None  # the same, sorted by name, if nothing has changed since
        self.told = {}  # the number of the list of managers that a device has acknowledged, by identity
        self._since = {}  # by group
        self._settings = {}
        self._number = 0  # of the last entry of the log
        self._recent = deque(maxlen=_RECENT_MAX)
        self._new = []  # the entries of this transaction
        self._waiting = Waiting()
        self._scheduled = False
        self._is_open = False  # in a transaction

    def states(self):
        """Return a list of StoredGroup, sorted by name, with what waits; members keep the order in which they were added."""
        found = self.read_states()
        states = {group.state.name: group.state for group in found}
        for group, identity, record in self._waiting.held():
            if group in states and identity in states[group].members:
                states[group].members[identity] = record
        return found

    def opened(self):
        """Read into memory what is answered from there."""
        self.read_keys()
        self.told = self.read_told()
        self._index()
        self._since = {group.state.name: group.since for group in self.read_states()}
        self._settings = self.read_settings()
        self._number = self.last_number()
        self._recent.clear()

    def _index(self):
        """Build the index of names anew."""
        self._identities = {name: identity for identity, (name, _) in self._devices.items()}
        self._sorted = None

    # Transactions.

    @contextlib.contextmanager
    def transaction(self):
        """A transaction that is durable when its block ends and undone if it raises. A nested one is part of the outer one."""
        if self._is_open:
            yield
            return
        number, self._new = None, []
        try:
            self.begin()  # which may read everything anew
            number, self._is_open = self._number, True
            self._write_waiting()
            yield
            self.append(self._new)
            self.end(True)
        except BaseException as error:
            if self._is_open:
                self._number = number
                self.end(False)
            if isinstance(error, RegistryError):
                self.write_error = error
            raise
        finally:
            self._is_open = False
        self.write_error = None
        self._waiting.clear()
        self._recent.extend(self._new)

    @contextlib.contextmanager
    def together(self):
        """Make all changes of the block one transaction."""
        before = None
        try:
            with self.transaction():
                before = [dict(each) for each in self._memory()]
                yield
        except BaseException:
            if before:
                self._devices, self._key_changes, self._since, self._settings, self.told, self._own, public = before
                self._set_public(public)
                self._index()
            raise

    def _memory(self):
        return self._devices, self._key_changes, self._since, self._settings, self.told, self._own, self.public

    def _write_waiting(self):
        """Write what waits, in the current transaction. It waits still if that is undone."""
        waiting = self._waiting
        self.store_held(waiting.held())
        self.store_session_rows({i: session for i, session in waiting.sessions.items() if i in self._devices})
        for at, event, group, device, detail in waiting.entries:
            self._new.append(self._numbered(at, event, group, device, detail))

    def flush(self):
        """Write what waits; raises RegistryError, and then it still waits."""
        if self._waiting:
            with self.transaction():
                pass

    def _wait(self):
        """Let acknowledgements and sessions wait, or write them now."""
        if self.later is None:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self.later(WAIT_S, self._flush_later)

    def _flush_later(self):
        if self.later is None:  # it is closed
            return
        try:
            self.flush()
            self._scheduled = False
        except Exception as error:
            self.write_error = error
            self._waiting.tell()
            if not isinstance(error, NotLeader):
                self.later(_RETRY_S, self._flush_later)

    def when_written(self, function):
        """Call `function()` when what waits now was written, or could not be: at once if nothing is about to be."""
        self._waiting.watchers.append(function)
        if not (self._scheduled and self._waiting):
            self._waiting.tell()

    def close(self):
        """Write what waits, if possible, and close the registry, so that another process can open it."""
        with contextlib.suppress(RegistryError):
            self.flush()
        self.later = None
        self._waiting.tell()
        self.close_storage()

    # Devices.

    def devices(self):
        """Return {name: identity} of all devices, sorted by name; not to be changed."""
        if self._sorted is None:
            self._sorted = dict(sorted(self._identities.items()))
        return self._sorted

    def identity(self, name):
        """Return the identity of a device, or None."""
        return self._identities.get(name)

    def enrol(self, name, public=None):
        """Create a device with a random identity and a random key, and return both; raises CommandError if the name is taken.

        `public`: the public_keys.PublicKey that it has made itself; then it has no other key, and NO_KEY is returned.
        """
        identity = secrets.token_hex(_IDENTITY_BYTES).encode()
        key = NO_KEY if public else secrets.token_bytes(PSK_BYTES)
        self._check_free(name)
        detail = {}
        if public:
            self.public.check_free(public)
            if any(psk.split(each)[0] in self._devices for each in public.identities()):
                raise CommandError(f"{public.name} is the identity of another device", USAGE)
            detail = {"kind": public.kind, "fingerprint": public.fingerprint.hex()}
        with self.transaction():
            self.store_device(identity, name, key)
            if public:
                self.store_public_key(identity, public)
            self.log("enrolled", device=name, identity=identity.decode(), **detail)
        self._devices[identity] = name, key
        self._keep_public(identity, public)
        self._identities[name], self._sorted = identity, None
        return identity, key

    def rename(self, name, other):
        """Give a device another name; raises CommandError if that is taken."""
        self._check_free(other)
        identity = self._identities[name]
        with self.transaction():
            self.store_name(identity, other)
            self.log("renamed", device=name, to=other)
        self._devices[identity] = other, self._devices[identity][1]
        self._index()

    def tell(self, told):
        """Store {identity: number of the list of managers that the device has acknowledged}."""
        told = {identity: number for identity, number in told.items() if identity in self._devices}
        with self.transaction():
            self.store_told(told)
        self.told.update(told)

    def wipe(self, name):
        """Delete a device and its key. The device must have left every group."""
        identity = self._identities[name]
        with self.transaction():
            self.delete_device(identity)
            self.log("wiped", device=name)
        del self._devices[identity]
        self._key_changes.pop(identity, None)
        self._keep_public(identity, None)
        self.told.pop(identity, None)
        del self._identities[name]
        self._sorted = None

    def _check_free(self, name):
        if name in self._identities:
            raise CommandError(
                f"there is a device {name} already: choose another name, or run dicectl provision replace {name}", USAGE
            )

    # Groups.

    def since(self, name):
        """Return when the current epoch of a group began."""
        return self._since[name]

    def restamp(self, name, since):
        """Correct the time that since() returns, because the clock was set."""
        with self.transaction():
            self.store_group_fields(name, since=since)
        self._since[name] = since

    def create(self, state, rekey_s):
        """Store a new group."""
        since = self.now()
        with self.transaction():
            self.store_group(state, rekey_s, since)
            self.log("group", state.name, gid=state.gid.hex())
        self._since[state.name] = since

    def set_rekey(self, name, rekey_s):
        """Change the seconds between two automatic re-keys of a group."""
        with self.transaction():
            self.store_group_fields(name, rekey_s=rekey_s)
            self.log("period", name, rekey_s=rekey_s)

    def delete_group(self, name):
        """Delete a group with its members, who stay devices, and its keys."""
        with self.transaction():
            self.remove_group(name)
            self.log("deleted", name)
        self._since.pop(name, None)

    def commit(self, state, change):
        """Store a Change of the GroupState of a group; for dice.group.manager.Manager."""
        if not self._is_open and acknowledges(state, change):
            self._waiting.hold(state.name, change.members)
            for event, identity, detail in events(state, change):
                self._waiting.entries.append((self.now(), event, state.name, self.name(identity), detail))
            self._wait()
            return
        since = self.now()
        with self.transaction():
            self.store_changes(state, change)
            if "epoch" in change.fields:
                self.store_group_fields(state.name, since=since)
            for event, identity, detail in events(state, change):
                self.log(event, state.name, identity and self.name(identity), **detail)
        if "epoch" in change.fields:
            self._since[state.name] = since

    def store_sessions(self, sessions):
        """Store or delete sessions, {identity: StoredSession or None}; those of unknown devices are ignored."""
        if self._is_open:
            self.store_session_rows({i: session for i, session in sessions.items() if i in self._devices})
        else:
            self._waiting.sessions.update(sessions)
            self._wait()

    def setting(self, name):
        """Return the JSON value of a setting, or None."""
        return self._settings.get(name)

    def store_setting(self, name, value):
        """Store the JSON value of a setting, which is no secret."""
        with self.transaction():
            self.write_setting(name, value)
        self._settings[name] = value

    # The audit log.

    @property
    def last_entry(self):
        """The number of the last entry of the audit log."""
        return self._number - (len(self._new) if self._is_open else 0)

    def log(self, event, group=None, device=None, **detail):
        """Append an entry, as part of the current transaction; entries are numbered from 1."""
        with self.transaction():
            self._new.append(self._numbered(self.now(), event, group, device, detail))

    def _numbered(self, at, event, group, device, detail):
        self._number += 1
        return entry(self._number, at, event, group, device, json.dumps(detail))

    def audit(self, after=0, limit=None):
        """Return the first `limit` entries with numbers above `after`, or all, as entry() makes them; the latest are in memory."""
        if after >= self.last_entry:
            return []
        if self._recent and self._recent[0]["number"] <= after + 1:
            return [entry for entry in self._recent if entry["number"] > after][:limit]
        return self.read_audit(after, limit)

    def prune(self, before, event=None, limit=None):
        """Delete entries of the log from before a time, of one event or of all, at most `limit`; return how many.

        The log says so, and its numbers go on.
        """
        with self.transaction():
            count = self.delete_entries(before, event, limit)
            if count:
                self.log("pruned", entries=count, before=before, **({"only": event} if event else {}))
        return count
