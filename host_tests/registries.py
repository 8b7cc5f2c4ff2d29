# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The two kinds of registries for tests that run on both: a file of SQLite, and a database of PostgreSQL.

The fixture `backend` is one of each in turn; `sqlite_backend` and `postgresql_backend` are one alone.
"""

import os
import sqlite3
import time

from dice.group.gsa import K08
from dice.group.manager import GroupState, Manager
from dicectl.manager.registry.opening import open_registry, read_audit


def new(name="lamps", address=bytes((239, 1, 2, 3))):
    """Return the state of a new group."""
    return GroupState(name, b"\1\2\3\4", address, 5000, K08)


def group(registry, *arguments):
    """Return the Manager of a new group."""
    state = new(*arguments)
    registry.create(state, 0)
    return Manager(state, registry.commit, os.urandom, 0)


def plain(state):
    """Return a group state in a form that can be compared."""
    members = {identity: dict(vars(member)) for identity, member in state.members.items()}
    return {**vars(state), "members": members}


class SqliteBackend:
    """A new file in a folder."""

    kind = "sqlite"

    def __init__(self, folder):
        self.name = folder / "house.db"

    def open(self, now=time.time, key=None, **options):
        """Open the registry."""
        return open_registry(self.name, now, key, **options)

    def audit(self):
        """Return the audit log, as another process reads it."""
        return read_audit(self.name)

    def sql(self, *statements):
        """Execute statements on a connection of their own; return the rows of the last one."""
        database = sqlite3.connect(self.name, isolation_level=None)
        try:
            return [database.execute(statement).fetchall() for statement in statements][-1]
        finally:
            database.close()

    def traces(self, secrets):
        """Return (file, number of the secret) for each secret whose bytes are in a file of the registry."""
        files = [path for path in self.name.parent.iterdir() if path.is_file()]
        return [(path.name, i) for path in files for i, secret in enumerate(secrets) if bytes(secret) in path.read_bytes()]


class PostgresqlBackend:
    """A new database of a postgresql.Server."""

    kind = "postgresql"

    def __init__(self, server):
        self.server = server
        self.name = server.database()

    open = SqliteBackend.open
    audit = SqliteBackend.audit

    def sql(self, *statements):
        import psycopg

        with psycopg.connect(self.name, autocommit=True) as connection:
            done = [connection.execute(statement) for statement in statements][-1]
            return done.fetchall() if done.description else []

    def traces(self, secrets):
        """Only in files of tables and indexes: the write-ahead log and the server's log have much more."""
        self.sql("CHECKPOINT")
        ((database,),) = self.sql("SELECT oid FROM pg_database WHERE datname = current_database()")
        files = [path for path in (self.server.data / "base" / str(database)).iterdir() if path.is_file()]
        return [(path.name, i) for path in files for i, secret in enumerate(secrets) if bytes(secret) in path.read_bytes()]
