# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Copies of a registry that is an SQLite file: backups, their restoration, and what a copy says about itself.

The file says in its header, in SQLite's application_id, whether a manager has it open, and whether it is a backup. A file that was
copied while a manager ran on it, without the log beside it, lacks what was written last: it is refused. A backup that is used as a
registry is known as such, so the manager can shut out who was a member later, before it gives out a key (ManagerService.start).
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from dice.store import sync
from dicectl import private_file
from dicectl.errors import FAILED, USAGE, CommandError

_ID = 0x64690000
IN_USE = 1
RESTORED = 2
_ID_AT = 68  # in the header of an SQLite file (sqlite.org/fileformat2.html, section 1.3)
_SIDE_FILES = ("-wal", "-shm", "-journal")
_WHAT = "all keys"


def marks(path):
    """Return the marks of a file, IN_USE | RESTORED, as they are in the file itself; 0 if it has none."""
    try:
        with open(path, "rb") as file:
            file.seek(_ID_AT)
            number = int.from_bytes(file.read(4), "big")
    except OSError:
        return 0
    return number & (IN_USE | RESTORED) if number & ~(IN_USE | RESTORED) == _ID else 0


def statement(mark):
    """Return the statement that stores marks."""
    return f"PRAGMA application_id = {_ID | mark}"


def check_whole(path):
    """Raise CommandError for a file that was copied while it was in use, without the log beside it."""
    if marks(path) & IN_USE and not Path(f"{path}-wal").exists():
        raise CommandError(
            f"{path} was copied while a manager ran on it, or its file {path}-wal was removed: what was written last is missing. "
            f"Use a copy that `dicectl manager backup` made; to use this one all the same: dicectl manager restore {path} {path}",
            USAGE,
        )


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
    _copy(path, target)
    try:
        held = contents(target)
    except BaseException:
        os.unlink(target)
        raise
    with contextlib.suppress(OSError):
        os.close(os.open(f"{path}.backup", os.O_WRONLY | os.O_CREAT, 0o600))
        os.utime(f"{path}.backup")
    return held


def restore(file, path):
    """Make the registry `path` of the copy `file`; return (what it holds, where the former registry is now, or None).

    They may be the same: then the file is accepted as a copy. Raises CommandError, also if a manager runs on `path`; then nothing
    has changed.
    """
    from dicectl.manager.registry.sqlite import lock

    _check(file)
    held = contents(file)
    descriptor = lock(path)
    try:
        new, aside = f"{path}.new", None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # of a restore that was interrupted
        _copy(file, new)
        if os.path.exists(path):
            aside = _unused(f"{path}.{time.strftime('%Y%m%d-%H%M%S')}")
            for end in ("", *_SIDE_FILES):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{path}{end}", f"{aside}{end}")
            _carry_sessions(aside, new)
        os.rename(new, path)
        sync(Path(path).absolute().parent)
        return held, aside
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", FAILED)
    finally:
        os.close(descriptor)


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
    if "://" in str(path):
        raise CommandError("that registry is a database: use pg_dump and pg_restore", USAGE)
    try:
        private_file.check(path, _WHAT)
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
    return sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
