# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A connection of psycopg that gives up a server that does not answer: its own limits cannot count on the server's."""

import time

import psycopg

LIMIT_S = 4.0  # more than the limits that the server keeps


class LimitedConnection(psycopg.Connection):
    """A connection that is closed, with an OperationalError, if a call takes longer than LIMIT_S."""

    def wait(self, gen, *arguments, **options):
        """Wait for the end of a call."""
        return super().wait(self._limited(gen), *arguments, **options)

    def _limited(self, gen):
        """Pass on what psycopg waits for, and whether that came: nothing of it does each tenth of a second."""
        end = time.monotonic() + LIMIT_S
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > end:
                    self.close()
                    raise psycopg.OperationalError(f"the server did not answer within {LIMIT_S:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value
