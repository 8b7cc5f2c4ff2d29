# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A process that wants to lead and, while it does, writes rows as fast as it can: test_leaders.py kills, stops and continues it.

python contender.py URL. The table `written` has a row (number) for each fenced transaction; `read` has, for each leader, how many
rows there were when it had taken over. After all of them, as many rows have lower numbers, if the fence holds.
"""

import random
import sys
import time

import psycopg

from dicectl.manager import leader, lease
from dicectl.manager.registry.base import NotLeader

lease.HEARTBEAT_S, lease.LEASE_S, lease.SILENT_S, lease.CALL_S = 0.1, 0.6, 0.4, 0.3


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


def main(url):
    """Contend until killed."""
    while True:
        candidate = leader.Leader(url)
        while not candidate.campaign():
            time.sleep(random.random() * 0.1)
        candidate.looped()
        candidate.start()
        try:
            lead(candidate, url)
        except (NotLeader, psycopg.Error):
            pass
        candidate.stop()


main(sys.argv[1])
