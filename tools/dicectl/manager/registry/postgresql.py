# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A registry in a PostgreSQL database, by psycopg 3: for several managers, of which one is active.

* One session writes, and holds an advisory lock, so a second one is refused. Each transaction begins with the fence of the election
  (manager/election/leader.py), if there is one: a former leader can write nothing more.
* A connection that is lost is opened anew by the next call, once a second at most, and more rarely if each attempt takes long;
  until then calls fail at once. If it was lost during a COMMIT, whether that succeeded is unknown. The new connection gets the lock
  when the old session has ended, and with it the outcome: so all is read anew, and on_reload() is called.
* No statement takes longer than CALL_S: the server gives it up, or else CallLimit does.
* Keys that were deleted or replaced stay in dead rows, until VACUUM FULL writes the tables of keys anew; checkpoint() does that. In
  the write-ahead log, in replicas' and in backups they stay as long as those exist. Encrypt the registry, and change its key file.
"""

import contextlib
import time

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.registry import password_file
from dicectl.manager.registry.base import Occupied, RegistryError
from dicectl.manager.registry.call_limit import CallLimit
from dicectl.manager.registry.relational import RelationalRegistry, engine_options
from dicectl.manager.registry.schema import SECRETS, SETTING
from dicectl.manager.registry.sealing import check_setting
from dicectl.manager.registry.statements import entries_after, sealing_setting
from dicectl.manager.registry.storage import entry

RESTORED = "restored"  # the setting of a registry that is a copy
CALL_S = 2  # what the server and the kernel allow
_LOCK_CLASS = 0x64696366  # one more than that of the election; the second half is the schema
_LOCK = f"SELECT pg_try_advisory_lock({_LOCK_CLASS}, hashtext(current_schema()))"
_HOLDERS = f"""FROM pg_locks WHERE locktype = 'advisory' AND classid = {_LOCK_CLASS} AND pid <> pg_backend_pid()
    AND objid = hashtext(current_schema())::bit(32)::bigint
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_RETRY_S = 1.0
_REST = 5  # times as long as an attempt took: a server that hangs must not hold up the rest of the manager
_VACUUM_S = 60.0
_VACUUM_LOCK_MS = 200
_LOCAL = ("", "localhost", "127.0.0.1", "::1")
_CONNECT = {
    "connect_timeout": CALL_S,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": CALL_S,
    "tcp_user_timeout": 1000 * CALL_S,
}
# No statement, no wait for a lock and no pause within a transaction is longer; the server gives a dead client up as soon.
_SESSION = {
    "statement_timeout": 1000 * CALL_S,
    "lock_timeout": 1000 * CALL_S,
    "idle_in_transaction_session_timeout": 1000 * CALL_S,
    "tcp_user_timeout": 1000 * CALL_S,
    "tcp_keepalives_idle": 1,
    "tcp_keepalives_interval": 1,
    "tcp_keepalives_count": CALL_S,
    "client_min_messages": "warning",
}


class PostgresqlRegistry(RelationalRegistry):
    """The registry in the database at `url`, postgresql://...; raises CommandError if it cannot be opened."""

    def __init__(self, url, now=time.time, key=None, fence=None):
        """`fence(execute)` is called first in each transaction that writes; `execute(sql)` returns one row. It raises NotLeader.

        With a fence, the session of a former leader that still hangs is ended; without one, that of another manager is respected.
        """
        parsed = parse(url)
        super().__init__(now, str(url))
        self._fence = fence
        self._retry_at = 0.0  # by time.monotonic()
        self._trouble = ""
        self._uncertain = False  # whether the outcome of a COMMIT is unknown
        self._vacuumed_at = -_VACUUM_S
        self._engine = engine(parsed)
        try:
            self._connect()
            if not self._lock(fence is not None):
                raise Occupied(f"another manager writes {self.title}: two would give one SenderID to two devices")
            self.prepare(key)
            self.opened()
            self.restored = bool(self.setting(RESTORED))
        except RegistryError as error:
            self._disconnect()
            raise CommandError(f"cannot use {self.title}: {error}", FAILED)
        except BaseException:
            self._disconnect()
            raise

    # The connection.

    def connected(self):
        if self._connection is None:
            if time.monotonic() < self._retry_at:
                raise RegistryError(self._trouble)
            began = time.monotonic()
            try:
                self._connect()
                was_uncertain = self._continue()
            except BaseException as error:
                self._disconnect()
                now = time.monotonic()
                self._retry_at = now + max(_RETRY_S, _REST * (now - began))
                self._trouble = str(error)
                raise
            if was_uncertain:
                raise RegistryError("the connection was lost during a change, and all was read anew: look, and try again")
        return self._connection

    def _connect(self):
        with self.errors():
            self._connection = self._engine.connect()
            ((mode,),) = self._connection.exec_driver_sql("SHOW synchronous_commit").all()
            if mode in ("off", "local"):
                self._connection.exec_driver_sql("SET synchronous_commit = on")

    def _lock(self, ends_others):
        """Lock the registry for this session, and return whether that succeeded."""
        if self.run(_LOCK)[0][0]:
            return True
        if ends_others:
            self.run(f"SELECT pg_terminate_backend(pid, {500 * CALL_S}) {_HOLDERS}")
        return self.run(_LOCK)[0][0]

    def _continue(self):
        """Go on with a new connection, after the old session has ended; return whether all was read anew."""
        if self._fence:
            self._fence(self._row)
        if not self._lock(False):
            raise RegistryError("the session of the lost connection has not ended yet")
        if not self._uncertain:
            return False
        self.opened()
        self._uncertain = False
        if self.on_reload:
            self.on_reload()
        return True

    def _disconnect(self):
        connection, self._connection = self._connection, None
        self._in_transaction = False
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()

    def failed(self, error):
        """Drop a connection that failed; return the server's primary message: details may quote a row, with its keys."""
        original = error.orig if isinstance(error, DBAPIError) else error
        diagnosis = getattr(original, "diag", None)
        text = (diagnosis and diagnosis.message_primary) or str(original).strip().partition("\n")[0]
        if self._connection is not None and (getattr(error, "connection_invalidated", False) or self._connection.invalidated):
            self._disconnect()
        return text or type(original).__name__

    def settled(self):
        self.store_setting(RESTORED, False)
        self.restored = False

    def close_storage(self):
        self._disconnect()
        self._engine.dispose()

    # Transactions.

    def _row(self, text):
        return self.run(text)[0]

    def began(self):
        if self._fence:
            self._fence(self._row)

    def end(self, durable):
        if not durable or self._spoiled or self._connection is None:
            super().end(durable)
            return
        try:
            super().end(True)
        except RegistryError:
            self._uncertain = True
            self._disconnect()
            raise

    def execute(self, statement, rows=None):
        self._check_transaction()
        return super().execute(statement, rows)

    def run(self, text):
        self._check_transaction()
        return super().run(text)

    def _check_transaction(self):
        """Raise RegistryError in a transaction whose connection is lost: the rest of it must not be executed by itself."""
        if self._is_open and self._connection is None:
            raise RegistryError("the connection was lost during this change")

    def checkpoint(self):
        """Write the tables of keys anew if a key was deleted, once a minute at most, if nobody reads them at this moment."""
        if not self.deleted or self._is_open or time.monotonic() < self._vacuumed_at + _VACUUM_S:
            return
        self._vacuumed_at = time.monotonic()
        with contextlib.suppress(RegistryError):
            self.run(f"SET lock_timeout = {_VACUUM_LOCK_MS}")
            try:
                self.run(f"VACUUM (FULL) {', '.join(table.name for table in SECRETS)}")
                self.deleted = False
            finally:
                self.run(f"SET lock_timeout = {_SESSION['lock_timeout']}")


def parse(url):
    """Return the parsed URL of a database; raises CommandError."""
    try:
        parsed = sa.make_url(url).set(drivername="postgresql+psycopg")
    except sa.exc.ArgumentError:
        raise CommandError("this is no URL of a database: write postgresql://USER@HOST/DATABASE", USAGE)
    if parsed.password:
        raise CommandError("a password in a command is visible to others: put it into ~/.pgpass (mode 0600)", USAGE)
    password_file.prepare()
    host = parsed.host or parsed.query.get("host", "")
    if host not in _LOCAL and not str(host).startswith("/") and "sslmode" not in parsed.query:
        parsed = parsed.update_query_dict({"sslmode": "verify-full"})  # libpq's own default trusts any server
    return parsed


def engine(parsed, application="dicectl manager"):
    """Return the SQLAlchemy engine of a parsed URL; raises CommandError if psycopg is missing."""
    options = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    arguments = {**_CONNECT, "options": options, "application_name": application}
    try:
        made = sa.create_engine(parsed, isolation_level="AUTOCOMMIT", connect_args=arguments, **engine_options())
    except ImportError:
        raise CommandError("PostgreSQL needs psycopg: pip install 'dice-dtls[postgresql]'", USAGE)
    CallLimit(CALL_S).attach(made)
    return made


def check_key(url, key):
    """Raise CommandError if `key` is not that of the database, which another manager may have open; an unreachable one passes."""
    opened = engine(parse(url), "dicectl manager: key")
    try:
        with opened.connect() as connection:
            if sa.inspect(connection).has_table(SETTING.name):
                check_setting(str(url), key, connection.execute(sealing_setting()).all())
    except SQLAlchemyError:
        return
    finally:
        opened.dispose()


def read_audit(url, after=0, limit=None):
    """Return the first `limit` entries above `after`, or all, even while a manager has the registry open; raises CommandError."""
    parsed = parse(url)
    opened = engine(parsed, "dicectl manager audit")
    try:
        with opened.connect() as connection:
            return [entry(*row) for row in connection.execute(entries_after(after, limit))]
    except DBAPIError as error:
        raise CommandError(f"cannot read {url}: {str(error.orig).strip().partition(chr(10))[0]}", USAGE)
    finally:
        opened.dispose()
