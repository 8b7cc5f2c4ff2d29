# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""manager/leader.py with real processes on a real PostgreSQL, killed, stopped and continued at random: never two writers.

A leader that takes over reads all that any former one has written or ever will: the fence. The times of a lease are shorter here.
"""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tests.patience import until
from host_tests.seeds import seeds

CONTENDER = Path(__file__).with_name("contender.py")
PROCESSES = 3
TAKE_OVERS = 6


def _contender(url):
    return subprocess.Popen([sys.executable, str(CONTENDER), url])


def _disturb(rng, processes, database, url):
    """Do one random thing to one process, or to one session of the database."""
    index = rng.randrange(len(processes))
    what = rng.choice(("kill", "stop", "stop", "cut", "nothing"))
    if what == "kill":
        processes[index].kill()
        processes[index].wait()
        processes[index] = _contender(url)
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


def _leaders(database):
    return database.execute("SELECT count(*) FROM read").fetchone()[0]


@pytest.mark.parametrize("seed", seeds(1))
def test_there_are_never_two_writers(postgres, seed):
    psycopg = pytest.importorskip("psycopg")
    rng = random.Random(seed)
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE TABLE written (number BIGINT); CREATE TABLE read (number BIGINT PRIMARY KEY, rows BIGINT)")
        processes = [_contender(url) for _ in range(PROCESSES)]
        try:
            until(lambda: _leaders(database))
            while _leaders(database) < TAKE_OVERS:
                _disturb(rng, processes, database, url)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        until(lambda: not database.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0])
        for number, rows in database.execute("SELECT number, rows FROM read ORDER BY number").fetchall():
            before = database.execute("SELECT count(*) FROM written WHERE number < %s", (number,)).fetchone()[0]
            assert before == rows, f"seed {seed}: {before - rows} rows of former leaders came after leader {number} had read"
        written, leaders = database.execute("SELECT count(*), count(DISTINCT number) FROM written").fetchone()
        print(f"{written} rows by {leaders} leaders")
        assert written > 100 and leaders >= TAKE_OVERS // 2
