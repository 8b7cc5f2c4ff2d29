# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in an SQLite file: created 0600, in WAL mode with synchronous=FULL, locked by a file beside it.

Keys that were deleted or replaced are overwritten: by secure_delete in the file, and by a checkpoint that cuts off the log.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from dice.group.manager import GroupState, MemberRecord
from dicectl import system
from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry.base import Registry, RegistryError, StoredGroup, entry

VERSION = 2
_STATE_FIELDS = ("gid", "address", "port", "layout", "lifetime_s", "epoch", "active", "grace_s", "tgk", "cs_id", "rand")
_SECRET_FIELDS = ("tgk", "cs_id", "rand")
_MEMBER_FIELDS = ("role", "id", "held", "sent", "offered")
_FROM_1 = "ALTER TABLE member ADD COLUMN offered INTEGER NOT NULL DEFAULT 65535;"  # any GSA may have been given out
# The tables say "roster" for a group, as in the first version of the format.
_SCHEMA = """
CREATE TABLE device (identity BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, key BLOB NOT NULL, made REAL NOT NULL);
CREATE TABLE roster (name TEXT PRIMARY KEY, gid BLOB, address BLOB, port INTEGER, layout INTEGER, lifetime_s INTEGER,
    epoch INTEGER, active INTEGER, grace_s INTEGER, tgk BLOB, cs_id BLOB, rand BLOB,
    rekey_s INTEGER NOT NULL, since REAL NOT NULL);
CREATE TABLE member (roster TEXT REFERENCES roster, identity BLOB REFERENCES device, role TEXT, id INTEGER, held INTEGER,
    sent INTEGER, offered INTEGER NOT NULL, PRIMARY KEY (roster, identity));
CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, event TEXT NOT NULL, roster TEXT, device TEXT,
    detail TEXT NOT NULL);
CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_written_once BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""


class SqliteRegistry(Registry):
    """The registry in the file `path`, which is created if it does not exist; raises CommandError if it cannot be opened."""

    def __init__(self, path, now=time.time):
        super().__init__(now)
        self.path = Path(path)
        self._deleted = True  # whether what was deleted may still be in the write-ahead log: that of a manager that was killed
        self._lock = _lock(self.path)
        try:
            self._database = self._open()
        except BaseException:
            os.close(self._lock)
            raise
        self._erase()
        self.opened()

    def _open(self):
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        database = sqlite3.connect(self.path, isolation_level=None)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version == 1:
                database.executescript(f"BEGIN IMMEDIATE; {_FROM_1} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version != VERSION:
                raise CommandError(f"{self.path} is no registry of this dicectl (version {VERSION}): choose another file", USAGE)
            _check_owner(self.path)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, also in builds that do not by default
            database.execute("PRAGMA busy_timeout = 0")  # nobody else writes; a checkpoint waits for no reader of the audit log
            database.execute("PRAGMA foreign_keys = ON")
        except sqlite3.DatabaseError as error:
            database.close()
            raise CommandError(f"{self.path} is no registry, or is damaged ({error}): choose another file", USAGE)
        except CommandError:
            database.close()
            raise
        return database

    def close(self):
        """Close the file and release its lock."""
        self._database.close()
        os.close(self._lock)

    def transaction(self):
        """Return a context manager that begins and ends a transaction, or joins the current one."""
        return _Transaction(self._database, self._erase)

    def _erase(self):
        """Overwrite in the file what was deleted, and cut off the write-ahead log, which still has it.

        If that fails, the change is made all the same, and the next one tries again. Closing the registry does it, too.
        """
        if self._deleted:
            with contextlib.suppress(sqlite3.Error):
                (is_busy, _, _) = self._database.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._deleted = bool(is_busy)

    def _execute(self, statement, values=()):
        """Execute a statement and return all rows; raises RegistryError."""
        try:
            return self._database.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise RegistryError(str(error)) from error

    # Devices.

    def devices(self):
        """Return {name: identity}."""
        return dict(self._execute("SELECT name, identity FROM device ORDER BY name"))

    def find(self, identity):
        """Return the key of an identity, or None."""
        rows = self._execute("SELECT key FROM device WHERE identity = ?", (identity,))
        return rows[0][0] if rows else None

    def store_device(self, identity, name, key):
        """Insert a device."""
        self._execute("INSERT INTO device VALUES (?, ?, ?, ?)", (identity, name, key, self.now()))

    def store_name(self, name, other):
        """Rename a device."""
        self._execute("UPDATE device SET name = ? WHERE name = ?", (other, name))

    def delete_device(self, name):
        """Delete a device."""
        self._execute("DELETE FROM device WHERE name = ?", (name,))
        self._deleted = True

    # Groups.

    def states(self):
        """Return a list of StoredGroup."""
        found = []
        rows = self._execute(f"SELECT name, rekey_s, since, {', '.join(_STATE_FIELDS)} FROM roster ORDER BY name")
        for name, rekey_s, since, *values in rows:
            fields = dict(zip(_STATE_FIELDS, values))
            state = GroupState(name, *(fields[field] for field in ("gid", "address", "port", "layout", "lifetime_s")))
            for field in ("epoch", "grace_s", "tgk", "cs_id", "rand"):
                setattr(state, field, fields[field])
            state.active = bool(fields["active"])
            members = f"SELECT identity, {', '.join(_MEMBER_FIELDS)} FROM member WHERE roster = ? ORDER BY rowid"
            state.members = {identity: MemberRecord(*record) for identity, *record in self._execute(members, (name,))}
            found.append(StoredGroup(state, rekey_s, since))
        return found

    def since(self, name):
        """Return when the current epoch of a group began."""
        return self._execute("SELECT since FROM roster WHERE name = ?", (name,))[0][0]

    def restamp(self, name, since):
        """Correct the time that since() returns."""
        with self.transaction():
            self._execute("UPDATE roster SET since = ? WHERE name = ?", (since, name))

    def store_group(self, state, rekey_s):
        """Insert a group."""
        values = (state.name, rekey_s, self.now(), *(getattr(state, field) for field in _STATE_FIELDS))
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT INTO roster (name, rekey_s, since, {', '.join(_STATE_FIELDS)}) VALUES ({marks})", values)

    def store_changes(self, state, change):
        """Update the fields and members that change."""
        for field, value in change.fields.items():
            self._execute(f"UPDATE roster SET {field} = ? WHERE name = ?", (value, state.name))
            self._deleted = self._deleted or field in _SECRET_FIELDS
        if "epoch" in change.fields:
            self._execute("UPDATE roster SET since = ? WHERE name = ?", (self.now(), state.name))
        for identity, member in change.members.items():
            self._store_member(state.name, identity, member, identity in state.members)

    def _store_member(self, group, identity, member, known):
        if member is None:
            self._execute("DELETE FROM member WHERE roster = ? AND identity = ?", (group, identity))
            return
        values = [getattr(member, field) for field in _MEMBER_FIELDS]
        if known:
            fields = ", ".join(f"{field} = ?" for field in _MEMBER_FIELDS)
            self._execute(f"UPDATE member SET {fields} WHERE roster = ? AND identity = ?", (*values, group, identity))
        else:
            self._execute("INSERT INTO member VALUES (?, ?, ?, ?, ?, ?, ?)", (group, identity, *values))

    # The audit log.

    def append(self, event, group, device, detail):
        """Insert an entry."""
        row = (self.now(), event, group, device, detail)
        self._execute("INSERT INTO audit (at, event, roster, device, detail) VALUES (?, ?, ?, ?, ?)", row)

    def audit(self, after=0):
        """Return the entries with numbers above `after`."""
        return [entry(*row) for row in self._execute(_ENTRIES, (after,))]


_ENTRIES = "SELECT number, at, event, roster, device, detail FROM audit WHERE number > ? ORDER BY number"


class _Transaction:
    """A transaction that is durable when its block ends; inside another one, a part of that."""

    def __init__(self, database, committed):
        self._database = database
        self._committed = committed
        self._nested = database.in_transaction

    def __enter__(self):
        if not self._nested:
            self._run("BEGIN IMMEDIATE")

    def __exit__(self, kind, *_):
        if self._nested:
            return
        try:
            self._run("ROLLBACK" if kind else "COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._run("ROLLBACK")
            raise
        self._committed()

    def _run(self, statement):
        try:
            self._database.execute(statement)
        except sqlite3.Error as error:
            raise RegistryError(str(error)) from error


def read_audit(path):
    """Return the audit log of a registry, even while a manager has it open; raises CommandError."""
    if not Path(path).exists():
        raise CommandError(f"there is no {path}: name the file that `dicectl manager run` uses", USAGE)
    try:
        database = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        try:
            return [entry(*row) for row in database.execute(_ENTRIES, (0,))]
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{path} is no registry, or is damaged ({error})", USAGE)


def _check_owner(path):
    """Raise CommandError unless the file belongs to this user, and nobody else can read or write it."""
    about = path.stat()
    if not system.WINDOWS and (about.st_uid != os.geteuid() or about.st_mode & 0o077):
        raise CommandError(f"others can read or write {path}, which has all keys: chmod 600 {path}, as its owner", USAGE)


def _lock(path):
    """Return the descriptor of the lock file, which no other process can lock as long as it is open; raises CommandError."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CommandError(f"cannot write beside {path}: {error.strerror}", USAGE)
    if not system.try_lock(descriptor):
        os.close(descriptor)
        raise CommandError(f"another manager runs on {path}: two would give one SenderID to two devices. Stop that one first")
    return descriptor
