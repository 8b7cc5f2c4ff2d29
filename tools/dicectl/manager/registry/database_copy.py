# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in PostgreSQL that is a copy: of an SQLite file, or what pg_restore has made of a dump.

Both are marked as such, by the setting postgresql.RESTORED, so the manager begins new keys before it gives out any (old_registry).
Keys stay as they are stored: in clear, or sealed under the key file of their registry, which is not needed here.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import sqlalchemy as sa

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import schema
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.file_marks import reading
from dicectl.manager.registry.postgresql import RESTORED, PostgresqlRegistry
from dicectl.manager.registry.relational import RelationalRegistry, engine_options
from dicectl.manager.registry.schema import AUDIT, DEVICE, GROUP, MEMBER, VERSION
from dicectl.manager.registry.sqlite import SqliteRegistry, lock

_PART = 500  # rows of one statement, which the database must execute within postgresql.CALL_S


class _DryRun(Exception):
    """Undoes a transaction."""


class _File(SqliteRegistry):
    """A copy in memory of a registry in a file, in the newest revision."""

    def __init__(self, path):
        RelationalRegistry.__init__(self, time.time, str(path))
        self.path = Path(path)
        memory = sqlite3.connect(":memory:", isolation_level=None)
        try:
            with contextlib.closing(sqlite3.connect(reading(path), uri=True)) as source:
                source.backup(memory)
            with self.errors():
                self._connection = sa.create_engine("sqlite://", creator=lambda: memory, **engine_options()).connect()
            self.prepare(None)
        except (sqlite3.Error, RegistryError) as error:
            raise CommandError(f"{path} is no registry, or is damaged ({error})", USAGE)

    def _unlock(self, key):
        """Keys stay as they are stored."""


class _Database(PostgresqlRegistry):
    """A database that is written once."""

    def __init__(self, url, dry_run):
        self._is_dry = dry_run
        self.held = None
        try:
            super().__init__(url)
        except _DryRun:
            return
        self.close_storage()

    def opened(self):
        """Nothing is answered from memory."""

    def _unlock(self, key):
        """Keys stay as they are stored."""

    def mark(self):
        """Mark the registry as a copy, and note what it holds."""
        self.write_setting(RESTORED, True)
        counts = [self.execute(sa.select(sa.func.count()).select_from(table))[0][0] for table in (GROUP, DEVICE, MEMBER, AUDIT)]
        ((last,),) = self.execute(sa.select(sa.func.max(AUDIT.c.at)))
        self.held = {**dict(zip(("groups", "devices", "members", "entries"), counts)), "last": last}
        if self._is_dry:
            raise _DryRun


class _Filled(_Database):
    """An empty database that gets the rows of a file."""

    def __init__(self, url, file, dry_run):
        self._file = file
        super().__init__(url, dry_run)

    def _prepare(self, key):
        names = sa.inspect(self._connection).get_table_names()
        if set(names) - {"leader"}:
            raise CommandError(f"{self.title} is not empty, and nothing in it is replaced: create a new database (createdb)", USAGE)
        schema.create(self._connection)
        for table in schema.METADATA.sorted_tables:
            if table is not VERSION:
                rows = [dict(row._mapping) for row in self._file.execute(sa.select(table))]
                for begin in range(0, len(rows), _PART):
                    self.execute(table.insert(), rows[begin : begin + _PART])
        self.mark()


class _Accepted(_Database):
    """A registry that is marked."""

    def _create(self, key):
        raise CommandError(f"{self.title} has no registry: let pg_restore fill it first", USAGE)

    def _prepare(self, key):
        super()._prepare(key)
        self.mark()


def fill(file, url, dry_run=False):
    """Copy the registry in `file` to the empty database at `url`; return what it holds, as backup.contents(). Raises CommandError.

    With `dry_run` the transaction is undone.
    """
    if os.path.exists(f"{file}.lock"):
        os.close(lock(file))  # a manager that goes on with the file would hand out the same SenderIDs
    return _Filled(url, _File(file), dry_run).held


def accept(url, dry_run=False):
    """Mark the registry in the database at `url` as a copy, such as pg_restore makes; return what it holds. Raises CommandError."""
    return _Accepted(url, dry_run).held
