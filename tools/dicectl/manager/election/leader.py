# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which of several managers on one PostgreSQL database is the active one: election, fence and heartbeat.

* Election: the active one holds a session-level advisory lock, on a connection of its own. The database releases it when that
  connection ends, also by `idle_session_timeout`: the active one must query it once a second.
* Fence: who gets the lock increments a number in the table `leader`, on that same connection. Each transaction that writes begins
  with fence(), which locks that row against an increment until it ends, and fails if the number is another one. So whoever reads
  the registry after its increment reads all that any former leader will ever have written.
* Silence: what is not written, such as a datagram, is allowed by may_send() and may_distribute() (see `lease`).

All of the registry must be on the same database; a pooler that gives one session to several clients, such as PgBouncer by
transaction, cannot be between.
"""

import os
import socket
import threading

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.election import lease
from dicectl.manager.registry.base import NotLeader
from dicectl.manager.registry.call_limit import CallLimit
from dicectl.manager.registry.postgresql import parse

_VERSION_MIN = 14  # of PostgreSQL: the first with idle_session_timeout
_REFUSED = "42"  # the class of errors about what a database has not, or does not allow
_LOCK_CLASS = 0x64696365  # "dice"; the second half is the schema
_TRY_LOCK = f"SELECT pg_try_advisory_lock({_LOCK_CLASS}, hashtext(current_schema()))"
_CREATE = """CREATE TABLE IF NOT EXISTS leader (one SMALLINT PRIMARY KEY CHECK (one = 1), number BIGINT NOT NULL,
    holder TEXT NOT NULL, since DOUBLE PRECISION NOT NULL)"""
_TAKE = """INSERT INTO leader VALUES (1, 1, %s, extract(epoch FROM clock_timestamp())) ON CONFLICT (one) DO UPDATE
    SET number = leader.number + 1, holder = excluded.holder, since = excluded.since RETURNING number"""
_READ = "SELECT number, holder, since FROM leader WHERE one = 1"
_FENCE = "SELECT number FROM leader WHERE one = 1 FOR SHARE"


def connect_options(call_s=lease.CALL_S):
    """Return libpq's parameters with which a connection that is dead is noticed within about `call_s`."""
    milliseconds = int(1000 * call_s)
    return {
        "connect_timeout": max(2, int(call_s)),
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "tcp_user_timeout": milliseconds,
    }


def session_options(call_s=lease.CALL_S):
    """Return PostgreSQL's settings for a session: no statement, no wait for a lock and no pause in a transaction is longer.

    Without the last one a manager that was stopped in a transaction would keep the next one out.
    """
    milliseconds = int(1000 * call_s)
    return {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "synchronous_commit": "on",
    }


def own_name():
    """Return what the others call this process."""
    return f"{socket.gethostname()} (process {os.getpid()})"


class Leader:
    """The part of one process in the election. campaign() until it returns True; then start(), and stop() at the end.

    `number` is the fence; `lost` says why this process does not lead any more, or is None.
    """

    def __init__(self, url, holder=None, clock=lease.boottime):
        """`url`: postgresql://..., as libpq knows it. Raises CommandError if psycopg is missing."""
        try:
            import psycopg
        except ImportError:
            raise CommandError("PostgreSQL needs psycopg: pip install 'dice-dtls[postgresql]'", USAGE)
        self._psycopg = psycopg
        self._url = parse(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._holder = holder or own_name()
        self._clock = clock
        self._session = None  # the connection that holds the lock, or may get it
        self._held = False
        self._limit = CallLimit(lease.CALL_S)
        self._lease = None
        self._ended = threading.Event()
        self._thread = None
        self.number = None
        self.lost = None
        self.active = None  # (number, holder, since) of the table, by the last look
        self.error = None  # of the last look at the database, or None

    # The election.

    def campaign(self):
        """Try once to become the leader; return whether it succeeded. `active` says who leads, `error` what has failed.

        Raises CommandError if this database can have no leader.
        """
        sent = self._clock()
        try:
            if not self._try_lock():
                return False
            with self._limit.during(self._session), self._session.transaction():
                self._session.execute(_CREATE)
                number = self._session.execute(_TAKE, (self._holder,)).fetchone()[0]
        except self._psycopg.Error as error:
            self._failed(error)
            if (error.sqlstate or "").startswith(_REFUSED):
                raise CommandError(f"this database cannot be used, and waiting does not help: {self.error}", USAGE) from None
            return False
        self._lease = lease.Lease(sent)
        self._held = True
        self.number = number
        return True

    def _try_lock(self):
        """Return whether this session has the lock now; `active` is up to date. Raises psycopg.Error."""
        session = self._open()
        with self._limit.during(session):
            found = session.execute("SELECT to_regclass('leader')").fetchone()[0]
            self.active = found and session.execute(_READ).fetchone()
            self.error = None
            return session.execute(_TRY_LOCK).fetchone()[0]

    def _open(self):
        if self._session is None or self._session.closed:
            options = " ".join(f"-c {name}={value}" for name, value in session_options().items())
            self._session = self._psycopg.connect(
                self._url, autocommit=True, options=options, application_name="dicectl manager: lock", **connect_options()
            )
            version = self._session.info.server_version // 10_000
            if version < _VERSION_MIN:
                raise CommandError(f"this database is PostgreSQL {version}: a manager needs {_VERSION_MIN} or later", USAGE)
            with self._limit.during(self._session):
                self._session.execute(f"SET idle_session_timeout = {int(1000 * lease.LEASE_S)}")
        return self._session

    def _failed(self, error):
        """Drop the session, and with it the lock if it has it."""
        self.error = (str(error).strip() or type(error).__name__).splitlines()[0]
        session, self._session, self._held = self._session, None, False
        if session is not None:
            session.close()

    # The leadership.

    def start(self):
        """Keep the lock from now on, in a thread; looped() must be called each LOOP_S."""
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def stop(self):
        """Give the lock back: another manager takes over at once. Call it when nothing is served any more."""
        self._ended.set()
        if self._thread:
            self._thread.join(2 * lease.CALL_S)
        if self._session is not None:
            self._session.close()

    def looped(self):
        """Note that the event loop runs; call it each LOOP_S. Without that for SILENT_S, another manager takes over."""
        self._lease.looped(self._clock())

    def may_send(self):
        """Return whether this process may answer anybody: it was not stopped since the database last knew it as the leader."""
        return not self.lost and self._lease.awake(self._clock())

    def may_distribute(self):
        """Return whether this process may give keys to members: nobody else can lead at this moment."""
        return not self.lost and self._lease.sure(self._clock())

    def fence(self, execute):
        """Call it first in each transaction that writes: `execute(sql)` returns one row. Raises NotLeader."""
        self.check(execute(_FENCE)[0])

    def check(self, number):
        """Raise NotLeader unless `number`, as the table has it, is ours."""
        if number != self.number:
            self.lost = f"another manager has taken over (number {number}, this one has {self.number})"
        if self.lost:
            raise NotLeader(self.lost)

    def raise_if_lost(self):
        """Raise CommandError if this process does not lead any more; it must end then, and may start again as a standby."""
        if self.lost:
            raise CommandError(f"the manager ends, because {self.lost}", FAILED)

    def _keep(self):
        while not self.lost and not self._ended.wait(lease.HEARTBEAT_S):
            if self._lease.forlorn(self._clock()):
                self.lost = f"its database has not answered for {lease.GIVE_UP_S:.0f} s ({self.error})"
            if self._lease.hangs(self._clock()):
                continue  # the database ends the session, unless the event loop goes on in time
            try:
                self._heartbeat()
            except NotLeader:
                pass
            except self._psycopg.Error as error:
                self._failed(error)
            except Exception as error:  # without heartbeats nobody may be served as if there were some
                self.lost = f"its heartbeat failed: {type(error).__name__}: {error}"

    def _heartbeat(self):
        """Query on the session that holds the lock. If that is lost, get the lock again, as long as nobody else had it."""
        sent = self._clock()
        held = self._held or self._try_lock()
        with self._limit.during(self._session):
            number = self._session.execute(_READ).fetchone()[0]
        self.check(number)
        self._held = held
        if held:
            self._lease.answered(sent)
            self.error = None
        else:
            self.error = "the lock belongs to another session"  # our former one, or who is about to take over
