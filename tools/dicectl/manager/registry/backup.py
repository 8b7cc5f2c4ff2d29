# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Copies of a registry that is an SQLite file: backups, and their restoration. Both mark them (registry.file_marks).

A file can be restored into an empty database, too (database_copy).
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from dice.store import sync
from dicectl import private_file
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.registry.file_marks import RESTORED, check_whole, reading, statement
from dicectl.manager.registry.opening import is_database
from dicectl.manager.registry.sqlite import lock

_SIDE_FILES = ("-wal", "-shm", "-journal")
_WHAT = "all keys"


def backup_at(path):
    """Return when the last backup of the registry `path` was made, by the wall clock, or None."""
    try:
        return os.stat(f"{path}.backup").st_mtime
    except OSError:
        return None


def make(path, target):
    """Copy the registry `path` to the new file `target`, also while a manager runs on it; return what it holds.

    Raises CommandError; then there is no `target`.
    """
    _check(path)
    check_whole(path)
    _copy(path, target)
    try:
        held = contents(target)
    except BaseException:
        os.unlink(target)
        raise
    with contextlib.suppress(OSError):
        _touch(f"{path}.backup", path)
    return held


def _touch(name, path):
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        os.utime(descriptor if os.utime in os.supports_fd else name)
    finally:
        os.close(descriptor)
    private_file.give(name, path)


def restore(file, path, dry_run=False):
    """Make the registry `path` of the copy `file`; return (what it holds, where the former registry is now, or None).

    They may be the same: then the file or the database is accepted as a copy. With `dry_run`, everything is checked and nothing is
    written. Raises CommandError, also if a manager runs on `path`; then nothing has changed.
    """
    if is_database(path):
        return _restore_database(file, path, dry_run), None
    _check(file)
    if not os.path.exists(path) or not os.path.samefile(file, path):
        check_whole(file)
    held = contents(file)
    if dry_run:
        if os.path.exists(f"{path}.lock"):
            os.close(lock(path))
        return held, None
    descriptor = lock(path)
    try:
        return held, _replace(file, path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", FAILED)
    finally:
        os.close(descriptor)


def _restore_database(file, url, dry_run):
    from dicectl.manager.registry import database_copy

    if file == url:
        return database_copy.accept(url, dry_run)
    _check(file)
    check_whole(file)
    contents(file)
    return database_copy.fill(file, url, dry_run)


def _replace(file, path):
    """Put a copy of `file` in the place of `path`; return where the former one is now, or None."""
    new, aside = f"{path}.new", None
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # of a restore that was interrupted
    _copy(file, new)
    owner = path if os.path.exists(path) else Path(path).absolute().parent
    private_file.give(new, owner)
    former = _unused(f"{path}.{time.strftime('%Y%m%d-%H%M%S')}")
    for end in (*_SIDE_FILES, ""):  # also without the file itself: SQLite would replay its log over the copy
        with contextlib.suppress(FileNotFoundError):
            os.rename(f"{path}{end}", f"{former}{end}")
            aside = former
    if os.path.exists(former):
        _carry_sessions(former, new)
    os.rename(new, path)
    sync(Path(path).absolute().parent)
    return aside


def _carry_sessions(former, new):
    """Copy the latest sessions, so that the next start calls the members where they are; without them, they come by themselves."""
    same = "(SELECT value FROM main.setting WHERE name = 'sealed') IS (SELECT value FROM former.setting WHERE name = 'sealed')"
    rows = f"SELECT * FROM former.session WHERE identity IN (SELECT identity FROM main.device) AND {same}"
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(Path(new).resolve().as_uri(), uri=True)) as database,
    ):
        database.execute("ATTACH ? AS former", (f"{Path(former).resolve().as_uri()}?mode=ro",))
        database.execute(f"INSERT OR REPLACE INTO main.session {rows}")
        database.commit()


def contents(path):
    """Verify a registry, and return {"groups", "devices", "members", "entries", "last"}: numbers, and when it was changed last."""
    try:
        with contextlib.closing(_reading(path)) as database:
            (state,) = database.execute("PRAGMA integrity_check").fetchone()
            if state != "ok":
                raise CommandError(f"{path} is damaged: {state}", FAILED)
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            group = "group_state" if "group_state" in tables else "roster"
            counts = [database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in (group, "device", "member")]
            entries, last = database.execute("SELECT COUNT(*), MAX(at) FROM audit").fetchone()
    except sqlite3.DatabaseError as error:
        raise CommandError(f"{path} is no registry, or is damaged ({error})", USAGE)
    return dict(zip(("groups", "devices", "members"), counts), entries=entries, last=last)


def _unused(name):
    """Return the name of no file: `name`, or with a number behind it."""
    names = (name, *(f"{name}-{number}" for number in range(2, 1000)))
    return next(found for found in names if not os.path.exists(found))


def _check(path):
    if is_database(path):
        raise CommandError(
            "that registry is a database: use pg_dump and pg_restore. To accept a database that pg_restore has filled, as a copy: "
            "dicectl manager restore URL URL, with its URL twice",
            USAGE,
        )
    try:
        private_file.check(path, _WHAT, of_anybody=private_file.is_root())
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE)
    if not os.path.getsize(path):
        raise CommandError(f"{path} is empty: it is no registry", USAGE)


def _copy(path, target):
    """Copy a registry, as one file with the mark RESTORED."""
    try:
        private_file.create(target).close()
    except FileExistsError:
        raise CommandError(f"{target} exists: choose another name", USAGE)
    except OSError as error:
        raise CommandError(f"cannot write {target}: {error.strerror}", FAILED)
    try:
        with contextlib.closing(_reading(path)) as source, contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute(statement(RESTORED))
            copy.commit()
        sync(target)
        sync(Path(target).absolute().parent)
    except (sqlite3.Error, OSError) as error:
        os.unlink(target)
        raise CommandError(f"cannot copy {path} to {target}: {error}", FAILED)


def _reading(path):
    return sqlite3.connect(reading(path), uri=True)
