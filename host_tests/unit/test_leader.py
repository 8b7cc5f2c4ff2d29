# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/election/leader.py on a real PostgreSQL: what each loss does to the one that leads. test_leaders.py has the searches."""

import contextlib
import socket
import threading
import time

import pytest

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.election import leader, lease
from dicectl.manager.registry.base import NotLeader
from host_tests.patience import until

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def candidates(postgres, monkeypatch):
    """Return a function that makes a Leader whose event loop runs; a lease is short."""
    for name, seconds in {"HEARTBEAT_S": 0.1, "LEASE_S": 1.5, "CALL_S": 1.0}.items():
        monkeypatch.setattr(lease, name, seconds)
    url = postgres.database()
    made = []
    ended = threading.Event()

    def make(name, by=url):
        candidate = leader.Leader(by, name)
        candidate.url = url
        made.append(candidate)
        return candidate

    def loop():
        while not ended.wait(0.02):
            for candidate in made:
                if candidate.number and candidate.is_looping:
                    candidate.looped()

    leader.Leader.is_looping = True
    runs = threading.Thread(target=loop)
    runs.start()
    yield make
    ended.set()
    runs.join()
    del leader.Leader.is_looping
    for candidate in made:
        candidate.stop()


def fenced(candidate):
    """Run a transaction with the fence; raises NotLeader."""
    with psycopg.connect(candidate.url) as writer:
        candidate.fence(lambda sql: writer.execute(sql).fetchone())


def end_sessions(url):
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dicectl%'")


def lead(candidate):
    until(candidate.campaign)
    candidate.start()
    return candidate


def test_one_leads_and_the_other_knows_who(candidates):
    first, second = lead(candidates("first")), candidates("second")
    assert not second.campaign()
    assert second.active[:2] == (1, "first") and second.error is None
    assert abs(second.active[2] - time.time()) < 3600
    fenced(first)
    first.stop()
    until(second.campaign)
    assert second.number == 2


def test_a_database_without_an_end_of_idle_sessions_is_refused(candidates, monkeypatch):
    """It was waited for without end: PostgreSQL 13 refuses the setting, which looked like a database that is away."""
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", 130_011)
    with pytest.raises(CommandError, match="this database is PostgreSQL 13: a manager needs 14 or later") as raised:
        candidates("first").campaign()
    assert raised.value.exit_code == USAGE


@pytest.mark.parametrize("cause", ["no right to create tables", "an unknown setting"])
def test_a_database_that_refuses_is_not_waited_for(candidates, postgres, monkeypatch, cause):
    """Since PostgreSQL 15 a new role cannot create tables: the manager said that the database does not answer, and waited."""
    url = postgres.database()
    if cause == "no right to create tables":
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("DROP ROLE IF EXISTS dice")
            database.execute("CREATE ROLE dice LOGIN")
        url = url.replace("postgres@", "dice@")
    else:
        monkeypatch.setattr(leader, "_TRY_LOCK", "SET idle_session_time = 5")
    with pytest.raises(CommandError, match=r"permission denied for schema public|unrecognized configuration parameter") as raised:
        candidates("first", url).campaign()
    assert raised.value.exit_code == USAGE and "\n" not in raised.value.format_message()


def test_a_session_of_a_candidate_that_is_stopped_ends(candidates):
    first = candidates("first")
    first.campaign()
    assert first._session.execute("SHOW idle_session_timeout").fetchone()[0] == "1500ms"


def test_a_lock_that_was_lost_is_taken_again_if_nobody_had_it(candidates):
    first = lead(candidates("first"))
    for _ in range(3):
        end_sessions(first.url)
        until(lambda: first.error)
        until(lambda: first.error is None and first.may_distribute())
    assert first.number == 1 and first.lost is None
    fenced(first)


def test_one_whose_loop_hangs_is_superseded_and_says_nothing_more(candidates):
    first, second = lead(candidates("first")), candidates("second")
    first.is_looping = False
    until(second.campaign)
    assert not first.may_send() and not first.may_distribute()
    with pytest.raises(NotLeader, match="taken over"):
        fenced(first)
    first.is_looping = True
    until(lambda: first.lost)
    assert not first.may_send()
    with pytest.raises(CommandError, match=r"the manager ends, because another manager has taken over \(number 2") as raised:
        first.raise_if_lost()
    assert raised.value.exit_code == FAILED
    second.start()
    fenced(second)


def test_a_database_that_is_away_stops_the_keys_only_and_comes_back(candidates, postgres):
    first = lead(candidates("first"))
    until(first.may_distribute)
    postgres.stop()
    try:
        until(lambda: not first.may_distribute())
        assert first.may_send() and first.lost is None and first.error
    finally:
        postgres.start()
    until(first.may_distribute)
    fenced(first)
    assert first.number == 1


class Wire:
    """A connection to the database by a relay, which cut() lets hang in both directions without a word to anybody."""

    def __init__(self, port):
        self._target = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._ended = False
        self._open = [self._socket]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self._flows.clear()

    def mend(self):
        self._flows.set()

    def close(self):
        self._ended = True
        self._flows.set()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        while not self._ended:
            try:
                near, _ = self._socket.accept()
                self._flows.wait()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, target), daemon=True).start()

    def _relay(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
            self._flows.wait()
            target.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(postgres):
    made = Wire(postgres.port)
    yield made
    made.close()


def test_one_that_is_cut_off_from_the_database_gives_out_no_keys_and_ends_when_it_knows(candidates, wire, postgres):
    second = candidates("second")
    first = candidates("first", postgres.tcp(second.url).replace(f":{postgres.port}", f":{wire.port}"))
    lead(first)
    until(first.may_distribute)
    wire.cut()
    until(second.campaign)
    assert not first.may_distribute() and first.lost is None, "it cannot know"
    second.start()
    wire.mend()
    until(lambda: first.lost)
    assert "taken over (number 2" in first.lost and not first.may_send()


def test_one_that_finds_no_database_for_long_ends(candidates, wire, postgres, monkeypatch):
    monkeypatch.setattr(lease, "GIVE_UP_S", 3.0)
    first = lead(candidates("first", postgres.tcp(postgres.database()).replace(f":{postgres.port}", f":{wire.port}")))
    until(first.may_distribute)
    wire.cut()
    until(lambda: first.lost)
    assert "its database has not answered for 3 s" in first.lost


def test_a_heartbeat_that_fails_for_another_reason_ends_the_leadership_audibly(candidates):
    first = lead(candidates("first"))
    with psycopg.connect(first.url, autocommit=True) as database:
        database.execute("DELETE FROM leader")
    until(lambda: first.lost)
    with pytest.raises(CommandError, match="heartbeat failed"):
        first.raise_if_lost()
    assert not first.may_send() and not first.may_distribute()


def test_no_lock_is_kept_out_by_a_transaction_of_one_that_was_stopped(candidates):
    """Its transaction holds the row of the fence: the database ends it."""
    first, second = lead(candidates("first")), candidates("second")
    settings = " ".join(f"-c {name}={value}" for name, value in leader.session_options(1.0).items())
    with psycopg.connect(first.url, options=settings) as writer:
        first.fence(lambda sql: writer.execute(sql).fetchone())
        first.is_looping = False
        until(second.campaign)
        with pytest.raises(psycopg.Error):
            writer.execute("SELECT 1")
