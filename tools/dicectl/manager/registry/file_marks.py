# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Marks in the header of an SQLite file, as SQLite's application_id: a manager has it open, or it is a backup.

A file that was copied while a manager ran on it, without the log beside it, lacks what was written last: it is refused. A backup
that is used as a registry is known as such, so the manager begins new keys before it gives out any
(old_registry).
"""

from pathlib import Path

from dicectl.errors import USAGE, CommandError

_ID = 0x64690000
IN_USE = 1
RESTORED = 2
_ID_AT = 68  # in the header of an SQLite file (sqlite.org/fileformat2.html, section 1.3)


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


def is_whole(path):
    """Return whether what was written last is in the file, or in the log beside it."""
    return not marks(path) & IN_USE or Path(f"{path}-wal").exists()


def reading(path):
    """Return the URI by which SQLite reads a file and creates none beside it: its log would make a part look whole."""
    return f"{Path(path).resolve().as_uri()}?{'mode=ro' if is_whole(path) else 'immutable=1'}"


def check_whole(path):
    """Raise CommandError for a file that was copied while it was in use, without the log beside it."""
    if not is_whole(path):
        raise CommandError(
            f"{path} was copied while a manager ran on it, or its file {path}-wal was removed: what was written last is missing. "
            f"Use a copy that `dicectl manager backup` made; to use this one all the same: dicectl manager restore {path} {path}",
            USAGE,
        )
