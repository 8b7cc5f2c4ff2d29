# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which implementation a registry has, by the form of its name: postgresql://... is a database, all else is a file of SQLite."""

import time

from dicectl.errors import USAGE, CommandError

_PART = 10_000  # entries of the log


def is_database(name):
    """Return whether the name of a registry is the URL of a database."""
    return "://" in str(name)


def open_registry(name, now=time.time, key=None, fence=None):
    """Open a registry; `key` as key_file.load() returns it, `fence` as of postgresql.PostgresqlRegistry. Raises CommandError."""
    if not is_database(name):
        from dicectl.manager.registry.sqlite import SqliteRegistry

        return SqliteRegistry(name, now, key)
    _check(name)
    from dicectl.manager.registry.postgresql import PostgresqlRegistry

    return PostgresqlRegistry(name, now, key, fence)


def check_key(name, key):
    """Raise CommandError if `key` is not that of a database that another manager may have open, or that cannot be reached."""
    _check(name)
    from dicectl.manager.registry import postgresql

    postgresql.check_key(name, key)


def audit_entries(name):
    """Yield the entries of the audit log, also while a manager runs; they are read in parts. Raises CommandError."""
    last = 0
    while True:
        entries = read_audit(name, last, _PART)
        yield from entries
        if len(entries) < _PART:
            return
        last = entries[-1]["number"]


def read_audit(name, after=0, limit=None):
    """Return the first `limit` entries with numbers above `after`, or all, also while a manager runs; raises CommandError."""
    if is_database(name):
        _check(name)
        from dicectl.manager.registry import postgresql

        return postgresql.read_audit(name, after, limit)
    from dicectl.manager.registry import sqlite

    return sqlite.read_audit(name, after, limit)


def _check(name):
    if not name.startswith(("postgresql://", "postgres://")):
        raise CommandError(f"{name} is no registry: name a file, or postgresql://USER@HOST/DATABASE", USAGE)
