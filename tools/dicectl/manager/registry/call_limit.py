# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A bound on each call to a database, whatever its server does.

The settings of libpq end a wait for a server that is dead or cannot be reached, but not for one that hangs and still acknowledges
TCP's segments. The connection of such a call is shut down here, so the call raises.
"""

import contextlib
import os
import socket
import threading
import time

_LOOK_S = 0.05


class CallLimit:
    """Watches one call at a time, in a thread that is started by the first of them."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._lock = threading.Lock()
        self._called = threading.Event()
        self._thread = None
        self._descriptor = None  # of the socket of the call, or None
        self._due = 0.0

    def attach(self, engine):
        """Bound each statement of an engine of SQLAlchemy on psycopg."""
        from sqlalchemy import event

        @event.listens_for(engine, "before_cursor_execute")
        def begin(connection, *_):
            self.begin(connection.connection.dbapi_connection)

        @event.listens_for(engine, "after_cursor_execute")
        def after(*_):
            self.end()

        @event.listens_for(engine, "handle_error")
        def failed(_):
            self.end()

    @contextlib.contextmanager
    def during(self, connection):
        """Bound the block, which uses a connection of psycopg."""
        self.begin(connection)
        try:
            yield
        finally:
            self.end()

    def begin(self, connection):
        """Bound what `connection` does until end()."""
        with self._lock:
            self._descriptor = None if connection.closed else connection.fileno()
            self._due = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()
        self._called.set()

    def end(self):
        """The call is over."""
        with self._lock:
            self._descriptor = None
            self._called.clear()

    def _watch(self):
        while True:
            self._called.wait()
            time.sleep(_LOOK_S)
            with self._lock:
                if self._descriptor is not None and time.monotonic() >= self._due:
                    _shut_down(self._descriptor)
                    self._descriptor = None
                    self._called.clear()


def _shut_down(descriptor):
    """Shut a socket down that stays with its owner."""
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
