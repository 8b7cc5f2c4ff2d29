# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Commands that run until they are ended: SIGTERM and a closed terminal end them as Ctrl-C does."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import tty
from pathlib import Path

import pytest

from host_tests.ports import free_port

SIGINTS = (signal.SIG_DFL, signal.SIG_IGN)
KEY = "000102030405060708090a0b0c0d0e0f"


class GatewayCommand:
    """`dicectl gateway` on a serial line of its own; it ends with its counts."""

    begins = "forwarding between /dev/"
    ends = "to network 0, to bus 0, dropped 1"

    def __init__(self, folder):
        self._near, self._far = pty.openpty()
        tty.setraw(self._far)
        self.arguments = ["gateway", os.ttyname(self._far)]

    def work(self):
        """Send noise, then read a frame that was sent after it, so that the noise has been counted."""
        for data in (b"\xc0noise\xc0", b"\xc0"):
            os.write(self._near, data)
            while select.select([self._far], (), (), 0.01)[0]:
                pass

    def close(self):
        os.close(self._near)
        os.close(self._far)


class ManagerCommand:
    """`dicectl manager run`; its registry can be opened again afterwards."""

    begins = "on UDP port"
    ends = ""

    def __init__(self, folder):
        self._registry = folder / "house.db"
        self.arguments = ["manager", "run", str(self._registry), "--new", "--port", str(free_port()), "--host", "127.0.0.1"]

    def work(self):
        assert self._registry.exists()

    def close(self):
        assert not [path for path in self._registry.parent.iterdir() if path.name.endswith("-journal")]


class ServerCommand:
    """`dicectl dtls-server`."""

    begins = "listening on UDP port"
    ends = ""

    def __init__(self, folder):
        (folder / "key").write_text(KEY)
        self.arguments = ["dtls-server", str(free_port()), "--psk-identity", "node1", "--psk-file", str(folder / "key")]

    def work(self):
        pass

    def close(self):
        pass


@pytest.fixture(params=[GatewayCommand, ManagerCommand, ServerCommand], ids=lambda command: command.__name__)
def command(request, tmp_path):
    command = request.param(tmp_path)
    yield command
    command.close()


@contextlib.contextmanager
def running(arguments, **options):
    """Run a Python process; it is killed if it is still running at the end."""
    process = subprocess.Popen([sys.executable, *arguments], **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def inherited(number, handler):
    """Let child processes inherit a signal handler."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.fixture(autouse=True)
def _without_nohup():
    """Do not ignore SIGHUP, whatever runs the tests."""
    with inherited(signal.SIGHUP, signal.SIG_DFL):
        yield


def read_until(read, wanted, seen=""):
    """Read until `wanted` occurs, or until the end; return the text."""
    while wanted not in seen:
        data = read()
        if not data:
            break
        seen += data.decode()
    return seen


@pytest.mark.parametrize(
    "name, sigint",
    [
        (name, sigint)
        for name in ("SIGINT", "SIGTERM", "SIGHUP")
        for sigint in SIGINTS
        if (name, sigint) != ("SIGINT", signal.SIG_IGN)
    ],
)
def test_a_signal_ends_the_command_with_its_summary_and_status_0(command, name, sigint):
    """Also if SIGINT was inherited as ignored, as a shell does for background jobs."""
    with (
        inherited(signal.SIGINT, sigint),
        running(["-m", "dicectl", *command.arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0) as process,
    ):
        seen = read_until(lambda: process.stdout.read(4096), command.begins)
        assert command.begins in seen
        command.work()
        process.send_signal(getattr(signal, name))
        last = process.stdout.read().decode()
        assert command.ends in last and "Traceback" not in last, last
        assert process.wait() == 0


@contextlib.contextmanager
def on_terminal(arguments):
    """Run a Python process on a terminal of its own; yield it and the other end of the terminal, to be closed."""
    near, far = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(far, termios.TIOCSCTTY, 0)

    with running(arguments, stdin=far, stdout=far, stderr=far, preexec_fn=take_terminal) as process:
        os.close(far)
        yield process, near


@pytest.mark.parametrize("sigint", SIGINTS)
def test_a_closed_terminal_ends_the_command(command, sigint):
    """As SIGHUP does, although no summary can be printed."""
    with inherited(signal.SIGINT, sigint), on_terminal(["-m", "dicectl", *command.arguments]) as (process, near):
        seen = read_until(lambda: os.read(near, 4096), command.begins)
        assert command.begins in seen
        command.work()
        os.close(near)
        assert process.wait() == 0


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_to_a_closed_terminal_fails_no_command(stream, tmp_path):
    """The terminal refuses it a moment before the kernel sends SIGHUP; here, as under nohup, that signal has no effect."""
    code = f"""if 1:
        import sys
        from pathlib import Path
        from dicectl import __main__ as m
        def command(**_):
            print("begins", file=sys.{stream})
            try:
                while sys.stdin.read(1): pass
            except OSError:
                pass
            for _ in range(3):
                print("more", file=sys.{stream}, flush=True)
            Path({str(tmp_path / "done")!r}).touch()
        m.cli.main = command
        m.main()
    """
    with inherited(signal.SIGHUP, signal.SIG_IGN), on_terminal(["-c", code]) as (process, near):
        assert "begins" in read_until(lambda: os.read(near, 4096), "begins")
        os.close(near)
        assert process.wait() == 0 and (tmp_path / "done").exists()


def ignored(process):
    """Return which of the signals that end a command are ignored by a process."""
    mask = int(re.search(r"^SigIgn:\s*(\w+)$", Path("/proc", str(process.pid), "status").read_text(), re.MULTILINE)[1], 16)
    return {name for name in ("SIGINT", "SIGTERM", "SIGHUP") if mask >> getattr(signal, name) - 1 & 1}


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_that_was_inherited_as_ignored_stays_ignored(tmp_path, name):
    """SIGINT in a background job of a shell, SIGHUP under nohup."""
    command = ServerCommand(tmp_path)
    with (
        inherited(getattr(signal, name), signal.SIG_IGN),
        running(["-m", "dicectl", *command.arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0) as process,
    ):
        read_until(lambda: process.stdout.read(4096), command.begins)
        assert name in ignored(process)


def test_an_interrupted_command_says_so_with_its_status():
    """D17: `deploy` ended with 1 on Ctrl-C, as if it had failed."""
    code = "from dicectl import __main__ as m; m.cli.main = stop; m.main()"
    stop = "def stop(**_):\n    import rich_click; raise rich_click.Abort()\n"
    done = subprocess.run([sys.executable, "-c", stop + code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "dicectl: interrupted\n")
