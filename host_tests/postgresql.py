# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A real PostgreSQL server for tests: Debian's, in a temporary folder, on a Unix socket and loopback, as an ordinary user.

    with postgresql.server() as server:
        url = server.database()      # a new and empty database: postgresql://postgres@/db1?host=/tmp/...

pytest has it as the fixture `postgres` (one server for each worker, a new database for each test).
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

USER = "nobody"  # runs the server if the tests run as root, which PostgreSQL refuses
HOW = (
    "install it, as in `apt-get install postgresql`, or name the folder of its programs: DICE_POSTGRESQL=/usr/lib/postgresql/15/bin"
)
_START_S = 60
_SETTINGS = {
    "fsync": "off",  # kill -9 of a process loses no page of the system's cache
    "shared_buffers": "16MB",
    "max_connections": "40",
    "autovacuum": "off",
    "log_statement": "all",
    "log_min_duration_statement": "0",
}


def programs():
    """Return the folder of initdb and postgres, or None."""
    named = os.environ.get("DICE_POSTGRESQL")
    found = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = [path for path in found if (path / "initdb").exists() and (path / "postgres").exists()]
    return found[-1] if found else None


class Server:
    """A running server. `log`: the file of its messages."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.log = self.folder / "log"
        self.sockets = self.folder / "socket"
        self.data = self.folder / "data"
        self.port = 0
        self.programs = programs()
        self._process = None
        self._made = 0

    def create(self):
        """Create the files of the server."""
        for path in (self.sockets, self.data):
            path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            about = pwd.getpwnam(USER)
            for path in (self.folder, self.sockets, self.data):
                os.chown(path, about.pw_uid, about.pw_gid)
        self._as_user("initdb", "--pgdata", self.data, "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def _argv(self, name, arguments):
        argv = [str(word) for word in (self.programs / name, *arguments)]
        return ["setpriv", f"--reuid={USER}", "--clear-groups", "--", *argv] if os.geteuid() == 0 else argv

    def _as_user(self, name, *arguments):
        done = subprocess.run(self._argv(name, arguments), cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr}")

    def start(self):
        """Start the server, and wait until it accepts connections."""
        settings = {**_SETTINGS, "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.sockets}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            argv = self._argv("postgres", ("-D", self.data, *options))
            self._process = subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(Exception), self.connect("postgres"):
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL does not start: {self.log.read_text()}")
            time.sleep(0.05)

    def stop(self, how=signal.SIGINT):
        """Stop the server: SIGINT ends its sessions, SIGQUIT does not write its buffers, SIGKILL lets it crash."""
        self._process.send_signal(how)
        self._process.wait()
        if how == signal.SIGKILL:
            self._await_children()

    def _await_children(self):
        """Wait for the sessions of a server that was killed, which hold its shared memory until they notice."""
        pid = self.data / "postmaster.pid"
        pid.unlink(missing_ok=True)
        time.sleep(0.3)

    def pause(self):
        """Let the server process hang, as behind a network that loses everything; new connections get no answer."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        """Let it go on, and wait until it has accepted all connections.

        One that is accepted while the server stops, and whose client says nothing, keeps it from ending for a minute.
        """
        self._process.send_signal(signal.SIGCONT)
        self.connect("postgres").close()

    def connect(self, name):
        """Return a connection of the superuser, as a context manager."""
        import psycopg

        return psycopg.connect(host=str(self.sockets), port=self.port, user="postgres", dbname=name, autocommit=True)

    def database(self):
        """Create a database and return its URL, by the Unix socket."""
        self._made += 1
        name = f"db{self._made}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://postgres@/{name}?host={self.sockets}&port={self.port}"

    def tcp(self, url):
        """Return the URL of the same database by TCP on loopback."""
        name = url.split("/")[3].split("?")[0]
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


@contextlib.contextmanager
def server():
    """Run a server in a temporary folder of its own."""
    folder = tempfile.mkdtemp(prefix="dice-pg-")  # short: the path of a Unix socket has 107 bytes at most
    running = Server(folder)
    try:
        running.create()
        running.start()
        yield running
    finally:
        if running._process and running._process.poll() is None:
            running._process.send_signal(signal.SIGCONT)
            running.stop(signal.SIGQUIT)  # without writing what is deleted now
        shutil.rmtree(folder, ignore_errors=True)
