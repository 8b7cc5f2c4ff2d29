# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""registry/call_limit.py and what a manager does while its database hangs: real PostgreSQL, whose processes are stopped."""

import contextlib
import os
import signal
import subprocess
import time

import pytest

from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.call_limit import CallLimit
from dicectl.manager.registry.opening import open_registry
from host_tests.patience import until
from host_tests.registries import group

psycopg = pytest.importorskip("psycopg")


def hang(url):
    """Stop all processes of the server's sessions; return a function that continues them."""
    others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    with psycopg.connect(url, autocommit=True) as database:
        (own,) = database.execute("SELECT pg_backend_pid()").fetchone()
        parent = int(subprocess.run(["ps", "-o", "ppid=", "-p", str(own)], capture_output=True, text=True).stdout)
        pids = [parent, *(pid for (pid,) in database.execute(others))]
    _signal(pids, signal.SIGSTOP)
    return lambda: _signal(pids, signal.SIGCONT)


def _signal(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # a session that was about to end
            os.kill(pid, number)


def test_a_call_to_a_server_that_hangs_ends(postgres):
    url = postgres.tcp(postgres.database())
    limit = CallLimit(0.3)
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(3):
            with limit.during(connection):
                assert connection.execute("SELECT 1").fetchone() == (1,)
        resume = hang(url)
        try:
            with pytest.raises(psycopg.Error), limit.during(connection):
                connection.execute("SELECT 1")
        finally:
            resume()
        assert connection.broken
    with psycopg.connect(url, autocommit=True) as connection:
        time.sleep(0.5)  # a limit that is over ends nothing
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_registry_whose_server_hangs_fails_in_time_and_comes_back(postgres):
    url = postgres.tcp(postgres.database())
    registry = open_registry(url)
    manager = group(registry)
    identity, key = registry.enrol("lamp")
    resume = hang(url)
    slowest, failures = [0.0], 0
    try:
        for _ in range(20):
            began = time.monotonic()
            with pytest.raises(RegistryError):
                manager.add([identity], "listener", 0)
            slowest.append(time.monotonic() - began)
            failures += 1
            assert registry.find(identity) == key, "keys are not in memory"
    finally:
        resume()
    print(f"{failures} calls failed, of which {sum(took > 0.5 for took in slowest)} took longer than 0.5 s")
    assert sum(took > 0.5 for took in slowest) <= 4, "each call waits for a server that hangs"

    def adds():
        try:
            manager.add([identity], "listener", 0)
        except RegistryError:
            return False
        return True

    until(adds)
    assert registry.states()[0].state.epoch == manager.state.epoch == 1
    registry.close()
