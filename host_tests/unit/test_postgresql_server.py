# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The PostgreSQL server of the tests: databases are separate, and a server that crashed continues."""

import signal

from host_tests import postgresql


def test_each_test_has_a_database_of_its_own(postgres):
    import psycopg

    for url in (postgres.database(), postgres.tcp(postgres.database())):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE mine (x INTEGER)")
    assert postgres.sockets.stat().st_mode & 0o077 == 0


def test_a_server_that_crashed_continues(postgres):
    import psycopg

    with postgresql.server() as server:
        url = server.database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE mine (x INTEGER)")
        server.stop(signal.SIGKILL)
        server.start()
        with psycopg.connect(url) as connection:
            connection.execute("INSERT INTO mine VALUES (1)")
