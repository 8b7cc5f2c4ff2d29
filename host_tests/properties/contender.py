# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A process that wants to lead and, while it does, writes rows as fast as it can: test_leaders.py kills, stops and continues it.

python contender.py URL rows. The table `written` has a row (number) for each fenced transaction; `read` has, for each leader, how
many rows there were when it had taken over. After all of them, as many rows have lower numbers, if the fence holds.

python contender.py URL registry. It re-keys a group of a registry instead, as a manager does.
"""

import contextlib
import os
import random
import sys
import time

import psycopg

from dice.group.gsa import K08
from dice.group.manager import GroupState, Manager
from dicectl.errors import CommandError
from dicectl.manager.election import leader, lease
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.opening import open_registry

TIMES = {"rows": (0.1, 0.6, 0.4, 0.3), "registry": (0.2, 1.2, 1.5, 1.0)}


def lead(candidate, url):
    """Write until another one leads, or the connection is lost."""
    settings = " ".join(f"-c {name}={value}" for name, value in leader.session_options().items())
    with psycopg.connect(url, autocommit=True, options=settings) as writer:
        with writer.transaction():
            candidate.fence(lambda sql: writer.execute(sql).fetchone())
            writer.execute("INSERT INTO read SELECT %s, count(*) FROM written", (candidate.number,))
        while True:
            candidate.looped()
            with writer.transaction():
                candidate.fence(lambda sql: writer.execute(sql).fetchone())
                if random.random() < 0.2:
                    time.sleep(random.random() * 0.1)  # here it may be stopped, with the lock on the row
                writer.execute("INSERT INTO written VALUES (%s)", (candidate.number,))


def lead_with_registry(candidate, url):
    """Re-key until another one leads."""
    registry = open_registry(url, fence=candidate.fence)
    try:
        if not registry.states():
            registry.create(GroupState("lamps", bytes(4), bytes((239, 1, 2, 3)), 5000, K08), 0)
        manager = Manager(registry.states()[0].state, registry.commit, os.urandom, 0)
        registry.on_reload = lambda: manager.restore(registry.states()[0].state, 0)
        while not candidate.lost:
            candidate.looped()
            with contextlib.suppress(RegistryError):  # for a moment, or for good: then the leader is lost
                manager.rekey(0)
            time.sleep(random.random() * 0.02)
    finally:
        registry.close()


def main(url, kind):
    """Contend until killed."""
    lease.HEARTBEAT_S, lease.LEASE_S, lease.SILENT_S, lease.CALL_S = TIMES[kind]
    while True:
        candidate = leader.Leader(url)
        while not candidate.campaign():
            time.sleep(random.random() * 0.1)
        candidate.looped()
        candidate.start()
        try:
            (lead if kind == "rows" else lead_with_registry)(candidate, url)
        except (RegistryError, CommandError, psycopg.Error):
            pass
        candidate.stop()


main(*sys.argv[1:])
