# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What a manager must not forget, in SQLite: devices with their keys, groups with theirs, and the audit log.

A change and what the log says of it are one transaction, on the disk before anybody can learn of it; together() makes one change
of several. One process at a time has a registry open for writing. The file holds every key: it is created 0600.
"""

import contextlib
import fcntl
import json
import os
import secrets
import sqlite3
import time
from pathlib import Path

from dice.group.manager import GroupState, MemberRecord
from dicectl.errors import USAGE, CommandError

VERSION = 1
_KEY_BYTES = 16
_IDENTITY_BYTES = 8
_STATE_FIELDS = ("gid", "address", "port", "layout", "lifetime_s", "epoch", "active", "grace_s", "tgk", "cs_id", "rand")
_MEMBER = ("role", "id", "held", "sent")
_SCHEMA = """
CREATE TABLE device (identity BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, key BLOB NOT NULL, made REAL NOT NULL);
CREATE TABLE roster (name TEXT PRIMARY KEY, gid BLOB, address BLOB, port INTEGER, layout INTEGER, lifetime_s INTEGER,
    epoch INTEGER, active INTEGER, grace_s INTEGER, tgk BLOB, cs_id BLOB, rand BLOB,
    rekey_s INTEGER NOT NULL, since REAL NOT NULL);
CREATE TABLE member (roster TEXT REFERENCES roster, identity BLOB REFERENCES device, role TEXT, id INTEGER, held INTEGER,
    sent INTEGER, PRIMARY KEY (roster, identity));
CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, event TEXT NOT NULL, roster TEXT, device TEXT,
    detail TEXT NOT NULL);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_written_once BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""


class Registry:
    """An open registry; `path` is that of its file. Raises CommandError where it cannot be had."""

    def __init__(self, path, now=time.time):
        """Open it, or make it where there is none, for this process alone."""
        self.path = Path(path)
        self.now = now
        self._lock = _lock(self.path)
        try:
            self._database = self._open()
        except BaseException:
            os.close(self._lock)
            raise
        self._names = {}
        self._states = {}
        self._read()

    def _read(self):
        """Know what is on the disk: the names of all devices, and the rosters."""
        self._names = {identity: name for name, identity in self.devices().items()}
        self.states()

    @contextlib.contextmanager
    def together(self):
        """Make one change of all that are made inside, on the disk when the block has ended; none where it raises."""
        try:
            with self._transaction():
                yield
        except BaseException:
            self._read()
            raise

    def _open(self):
        new = not self.path.exists()
        if new:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version != VERSION:
                raise CommandError(f"{self.path} is no registry of this dicectl (version {VERSION}): choose another file", USAGE)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA foreign_keys = ON")
        except sqlite3.DatabaseError as error:
            raise CommandError(f"{self.path} is no registry, or was damaged ({error}): choose another file", USAGE)
        return database

    def close(self):
        """Let another process have it."""
        self._database.close()
        os.close(self._lock)

    # Devices.

    def devices(self):
        """Return {name: identity}."""
        return dict(self._database.execute("SELECT name, identity FROM device ORDER BY name"))

    def name(self, identity):
        """Return the name of a device, or None."""
        return self._names.get(identity)

    def find(self, identity):
        """Return the key of an identity, or None; for kx_psk_server.PskLookup."""
        row = self._database.execute("SELECT key FROM device WHERE identity = ?", (identity,)).fetchone()
        return row and row[0]

    def enrol(self, name):
        """Make a device with a random identity and a random key; return both. Raises CommandError for a name that is taken."""
        identity = secrets.token_hex(_IDENTITY_BYTES).encode()
        key = secrets.token_bytes(_KEY_BYTES)
        if name in self.devices():
            raise CommandError(f"there is a device {name} already: choose another name, or dicectl provision replace {name}", USAGE)
        with self._transaction():
            self._database.execute("INSERT INTO device VALUES (?, ?, ?, ?)", (identity, name, key, self.now()))
            self._log("enrolled", device=name, identity=identity.decode())
        self._names[identity] = name
        return identity, key

    def rename(self, name, other):
        """Give a device another name."""
        with self._transaction():
            self._database.execute("UPDATE device SET name = ? WHERE name = ?", (other, name))
            self._log("renamed", device=name, to=other)
        self._names = {identity: name for name, identity in self.devices().items()}

    def wipe(self, name):
        """Forget a device and its key; it must have left every group."""
        with self._transaction():
            self._database.execute("DELETE FROM device WHERE name = ?", (name,))
            self._log("wiped", device=name)
        self._names = {identity: name for name, identity in self.devices().items()}

    # Groups.

    def states(self):
        """Return [(GroupState, seconds between two re-keys or 0, when its epoch began)]."""
        found = []
        for name, rekey_s, since, *values in self._database.execute(
            f"SELECT name, rekey_s, since, {', '.join(_STATE_FIELDS)} FROM roster ORDER BY name"
        ).fetchall():
            said = dict(zip(_STATE_FIELDS, values))
            state = GroupState(name, said["gid"], said["address"], said["port"], said["layout"], said["lifetime_s"])
            for field in ("epoch", "grace_s", "tgk", "cs_id", "rand"):
                setattr(state, field, said[field])
            state.active = bool(said["active"])
            for identity, *fields in self._database.execute(
                f"SELECT identity, {', '.join(_MEMBER)} FROM member WHERE roster = ? ORDER BY rowid", (name,)
            ):
                state.members[identity] = MemberRecord(*fields)
            self._states[name] = state.copy()
            found.append((state, rekey_s, since))
        return found

    def create(self, state, rekey_s):
        """Keep a new group."""
        marks = ", ".join("?" * (3 + len(_STATE_FIELDS)))
        with self._transaction():
            values = [getattr(state, field) for field in _STATE_FIELDS]
            fields = f"name, rekey_s, since, {', '.join(_STATE_FIELDS)}"
            self._database.execute(f"INSERT INTO roster ({fields}) VALUES ({marks})", (state.name, rekey_s, self.now(), *values))
            self._log("group", state.name, gid=state.gid.hex())
        self._states[state.name] = state.copy()

    def since(self, name):
        """Return when the epoch of a group began."""
        return self._database.execute("SELECT since FROM roster WHERE name = ?", (name,)).fetchone()[0]

    def commit(self, state):
        """Make a change of a GroupState durable, and log it; for group.manager.Manager."""
        before = self._states[state.name]
        with self._transaction():
            fields = [field for field in _STATE_FIELDS if getattr(state, field) != getattr(before, field)]
            for field in fields:
                self._database.execute(f"UPDATE roster SET {field} = ? WHERE name = ?", (getattr(state, field), state.name))
            if "epoch" in fields:
                self._database.execute("UPDATE roster SET since = ? WHERE name = ?", (self.now(), state.name))
            self._members(before, state)
            if "epoch" in fields:
                self._log("epoch", state.name, epoch=state.epoch, new_master_key=state.tgk != before.tgk)
            if state.active and (not before.active or "epoch" in fields):
                self._log("active", state.name, epoch=state.epoch)
        self._states[state.name] = state.copy()

    def _members(self, before, after):
        for identity in before.members.keys() - after.members.keys():
            self._database.execute("DELETE FROM member WHERE roster = ? AND identity = ?", (after.name, identity))
            self._log("removed", after.name, self.name(identity))
        for identity, member in after.members.items():
            values = [getattr(member, field) for field in _MEMBER]
            old = before.members.get(identity)
            if old is None:
                self._database.execute("INSERT INTO member VALUES (?, ?, ?, ?, ?, ?)", (after.name, identity, *values))
                self._log("added", after.name, self.name(identity), role=member.role, id=member.id)
            elif values != [getattr(old, field) for field in _MEMBER]:
                changes = f"UPDATE member SET {', '.join(f'{field} = ?' for field in _MEMBER)} WHERE roster = ? AND identity = ?"
                self._database.execute(changes, (*values, after.name, identity))
                if member.held > old.held:
                    self._log("acknowledged", after.name, self.name(identity), epoch=member.held)
                if member.id != old.id:
                    self._log("id", after.name, self.name(identity), id=member.id)

    # The log.

    def _log(self, event, state=None, device=None, **detail):
        row = (self.now(), event, state, device, json.dumps(detail))
        self._database.execute("INSERT INTO audit (at, event, roster, device, detail) VALUES (?, ?, ?, ?, ?)", row)

    def audit(self, after=0):
        """Return the entries of the log behind number `after`, as dicts."""
        return entries(self._database, after)

    def _transaction(self):
        return _Transaction(self._database)


class _Transaction:
    """All of it or nothing, on the disk when the block has ended; inside another one, a part of that."""

    def __init__(self, database):
        self._database = database
        self._inner = database.in_transaction

    def __enter__(self):
        if not self._inner:
            self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, *_):
        if self._inner:
            return
        try:
            self._database.execute("ROLLBACK" if kind else "COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise


def entries(database, after=0):
    """Return the entries of an audit log behind number `after`, as dicts."""
    rows = database.execute(
        "SELECT number, at, event, roster, device, detail FROM audit WHERE number > ? ORDER BY number", (after,)
    )
    names = ("number", "at", "event", "group", "device")
    return [{**dict(zip(names, row)), **json.loads(detail)} for *row, detail in rows]


def read_audit(path):
    """Return the entries of the log of a registry, also while a manager runs; raises CommandError."""
    if not Path(path).exists():
        raise CommandError(f"there is no {path}: name the file that `dicectl manager run` was given", USAGE)
    try:
        database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        try:
            return entries(database)
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{path} is no registry, or was damaged ({error})", USAGE)


def _lock(path):
    """Return the descriptor of a file that no other process can lock; raises CommandError."""
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(f"cannot write beside {path}: {error.strerror}", USAGE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise CommandError(f"another manager runs on {path}: two would give one SenderID to two devices. End that one first")
    return lock
