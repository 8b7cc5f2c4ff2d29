# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/election/leader.py with real processes on a real PostgreSQL, killed, stopped and continued at random: never two writers.

A leader that takes over reads all that any former one has written or ever will: the fence. The times of a lease are shorter here.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dicectl.manager.registry.opening import open_registry
from host_tests.patience import until
from host_tests.seeds import seeds

CONTENDER = Path(__file__).with_name("contender.py")
PROCESSES = 3
TAKE_OVERS = 6


def _contender(url, kind):
    return subprocess.Popen([sys.executable, str(CONTENDER), url, kind])


def _disturb(rng, processes, database, url, kind):
    """Do one random thing to one process, or to one session of the database."""
    index = rng.randrange(len(processes))
    what = rng.choice(("kill", "stop", "stop", "cut", "nothing"))
    if what == "kill":
        processes[index].kill()
        processes[index].wait()
        processes[index] = _contender(url, kind)
    elif what == "stop":
        processes[index].send_signal(signal.SIGSTOP)
        time.sleep(rng.random() * 1.5)
        processes[index].send_signal(signal.SIGCONT)
    elif what == "cut":
        sessions = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        found = [pid for (pid,) in database.execute(sessions)]
        if found:
            database.execute("SELECT pg_terminate_backend(%s)", (rng.choice(found),))
    time.sleep(rng.random() * 0.3)


def _struggle(seed, database, url, kind, leaders):
    """Let processes contend until there were TAKE_OVERS leaders by `leaders()`; then end them all."""
    rng = random.Random(seed)
    processes = [_contender(url, kind) for _ in range(PROCESSES)]
    try:
        until(leaders)
        while leaders() < TAKE_OVERS:
            _disturb(rng, processes, database, url, kind)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    until(lambda: not _one(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


def _one(database, statement, *values):
    return database.execute(statement, values).fetchone()[0]


@pytest.mark.parametrize("seed", seeds(1))
def test_there_are_never_two_writers(postgres, seed):
    psycopg = pytest.importorskip("psycopg")
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE TABLE written (number BIGINT); CREATE TABLE read (number BIGINT PRIMARY KEY, rows BIGINT)")
        _struggle(seed, database, url, "rows", lambda: _one(database, "SELECT count(*) FROM read"))
        for number, rows in database.execute("SELECT number, rows FROM read ORDER BY number").fetchall():
            before = _one(database, "SELECT count(*) FROM written WHERE number < %s", number)
            assert before == rows, f"seed {seed}: {before - rows} rows of former leaders came after leader {number} had read"
        written, leaders = database.execute("SELECT count(*), count(DISTINCT number) FROM written").fetchone()
        print(f"{written} rows by {leaders} leaders")
        assert written and leaders > 1


@pytest.mark.parametrize("seed", seeds(1))
def test_no_epoch_is_made_twice(postgres, seed):
    """Two writers would each make the epoch that follows the one they have read, with keys of their own."""
    psycopg = pytest.importorskip("psycopg")
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as database:

        def leaders():
            exists = _one(database, "SELECT to_regclass('leader') IS NOT NULL AND to_regclass('group_state') IS NOT NULL")
            return exists and _one(database, "SELECT number FROM leader")

        _struggle(seed, database, url, "registry", leaders)
    registry = open_registry(url)
    made = [entry["epoch"] for entry in registry.audit() if entry["event"] == "epoch"]
    print(f"{len(made)} epochs by {TAKE_OVERS} leaders")
    assert made == list(range(1, len(made) + 1)), f"seed {seed}"
    assert registry.states()[0].state.epoch == len(made) > 1
    registry.close()
