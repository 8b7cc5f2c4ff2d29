# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in an SQLite file: created 0600, in WAL mode with synchronous=FULL, locked by a file beside it.

Keys that were deleted or replaced are overwritten: by secure_delete in the file, and by a checkpoint that cuts off the log. Other
changes are in the file itself a second later, so that a copy of the file alone is complete.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

from dicectl import private_file, system
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.registry import file_marks, schema
from dicectl.manager.registry.base import Occupied, RegistryError, entry
from dicectl.manager.registry.relational import RelationalRegistry, engine_options

_CHECKPOINT_S = 1.0
_BUSY_MS = 500  # nobody else writes, but another program, such as a backup, may lock the file for a moment
_WHAT = "all keys"
_FULL = "disk is full"  # SQLite's words
_SIDE_FILES = ("", "-wal", "-shm", "-journal", ".lock")


class SqliteRegistry(RelationalRegistry):
    """The registry in the file `path`, which is created if it does not exist; raises CommandError if it cannot be opened."""

    BEGIN = "BEGIN IMMEDIATE"

    def __init__(self, path, now=time.time, key=None):
        """`key`: the 32 bytes of its key file, if it is encrypted, or is to be created so."""
        super().__init__(now, str(path))
        self.path = Path(path)
        self.deleted = True  # what was deleted may still be in the write-ahead log: that of a manager that was killed
        self._checkpoint_due = False
        _check_modes(self.path)
        was_there = os.path.lexists(f"{self.path}.lock")
        self._lock = lock(self.path)
        new = not self.path.exists()
        try:
            self._open(key, new)
        except BaseException:
            if new and not was_there:
                discard(self.path)
            if self._connection:
                self._connection.close()
            os.close(self._lock)
            raise

    def _open(self, key, new):
        file_marks.check_whole(self.path)
        if new:
            private_file.create(self.path).close()
            private_file.give(self.path, self.path.absolute().parent)
        try:
            engine = sa.create_engine("sqlite://", creator=self._open_file, **engine_options())
            with self.errors():
                self._connection = engine.connect()
                self.prepare(key)
                self.run("PRAGMA journal_mode = WAL")
                self.run("PRAGMA synchronous = FULL")
                self.run("PRAGMA foreign_keys = ON")
                self.restored = bool(file_marks.marks(self.path) & file_marks.RESTORED)
                self.run(file_marks.statement(file_marks.IN_USE | file_marks.RESTORED * self.restored))
            self.checkpoint()
            self.opened()
        except RegistryError as error:
            if is_full(error):
                raise disk_full(self.path)
            raise CommandError(f"{self.path} is no registry, or is damaged ({error}): choose another file", USAGE)

    def _open_file(self):
        file = sqlite3.connect(self.path, isolation_level=None)
        file.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, also in builds that do not by default
        file.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        return file

    def old_revision(self, names):
        version = self.run("PRAGMA user_version")[0][0]
        if schema.VERSION.name in names and {"device", "audit"} < names:
            return None
        if {"device", "audit", "member"} < names and 0 < version < schema.USER_VERSION:
            return str(version)
        raise CommandError(f"{self.path} is no registry of this dicectl: choose another file", USAGE)

    def _create(self, key):
        super()._create(key)
        self.run(f"PRAGMA user_version = {schema.USER_VERSION}")

    def end(self, durable):
        super().end(durable)
        if not durable:
            return
        if self.deleted or self.later is None:
            self.checkpoint()
        elif not self._checkpoint_due:
            self._checkpoint_due = True
            self.later(_CHECKPOINT_S, self._checkpoint_later)

    def _checkpoint_later(self):
        self._checkpoint_due = False
        if self._connection and not self.checkpoint() and self.later:
            self._checkpoint_due = True
            self.later(_CHECKPOINT_S, self._checkpoint_later)

    def checkpoint(self):
        """Bring all changes into the file itself, and cut off the log; return whether that succeeded.

        If it fails, as while another process reads the file, the change is made all the same, and the next checkpoint tries again.
        """
        try:
            self.run("PRAGMA busy_timeout = 0")  # a checkpoint waits for no reader of the audit log
            ((is_busy, _, _),) = self.run("PRAGMA wal_checkpoint(TRUNCATE)")
            self.run(f"PRAGMA busy_timeout = {_BUSY_MS}")
        except RegistryError:
            return False
        self.deleted = self.deleted and bool(is_busy)
        return not is_busy

    def settled(self):
        self.run(file_marks.statement(file_marks.IN_USE))
        self.restored = False
        self.checkpoint()

    def close_storage(self):
        if self._connection is None:
            return
        with contextlib.suppress(RegistryError):  # else it is in use, and its log is beside it
            self.run(file_marks.statement(file_marks.RESTORED * self.restored))
        connection, self._connection = self._connection, None
        connection.close()
        os.close(self._lock)


def read_audit(path, after=0, limit=None):
    """Return the first `limit` entries above `after`, or all, even while a manager has the registry open; raises CommandError."""
    if not Path(path).exists():
        raise CommandError(f"there is no {path}: name the file that `dicectl manager run` uses", USAGE)
    private_file.check(path, _WHAT, of_anybody=True)  # root may read the log of a service's registry
    try:
        database = sqlite3.connect(file_marks.reading(path), uri=True)
        try:
            old = database.execute("PRAGMA user_version").fetchone()[0] < schema.USER_VERSION
            group = "roster" if old else "group_name"
            entries = f"SELECT number, at, event, {group}, device, detail FROM audit WHERE number > ? ORDER BY number LIMIT ?"
            return [entry(*row) for row in database.execute(entries, (after, -1 if limit is None else limit))]
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{path} is no registry, or is damaged ({error})", USAGE)


def _check_modes(path):
    """Raise CommandError if a file of the registry can be read or written by others, or is a link."""
    for name in _SIDE_FILES:
        try:
            private_file.check(f"{path}{name}", _WHAT, of_anybody=private_file.is_root())
        except OSError:  # there is none
            continue


def is_full(error):
    """Return whether a RegistryError says that there is no room."""
    return _FULL in str(error)


def disk_full(path):
    """Return the CommandError of a registry that finds no room."""
    return CommandError(f"cannot write {path}: the disk is full; make room, and try again", FAILED)


def discard(path):
    """Remove a registry that could not be created, whose lock this process holds."""
    for name in _SIDE_FILES:  # the lock last
        with contextlib.suppress(OSError):
            os.unlink(f"{path}{name}")


def lock(path):
    """Return the descriptor of the lock file, which no other process can lock as long as it is open; raises CommandError."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise CommandError(f"cannot write beside {path}: {error.strerror}", USAGE)
    if not (system.try_lock(descriptor) and _is_at(descriptor, f"{path}.lock")):
        os.close(descriptor)
        raise Occupied(f"another manager runs on {path}: two would give one SenderID to two devices. Stop that one first")
    private_file.give(f"{path}.lock", path)
    return descriptor


def _is_at(descriptor, path):
    """Return whether an open file is still the one at `path`: its owner may have discarded it since."""
    try:
        return system.WINDOWS or os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False
