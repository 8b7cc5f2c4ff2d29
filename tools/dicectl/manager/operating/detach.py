# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A manager in the background: the same command once more, in a session of its own, whose output goes to a log file.

The log has LOG_MAX_BYTES at most, and so has the former one beside it.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager import control
from dicectl.sd_notify import READY

LOG_MAX_BYTES = 10_000_000
_LOG = "DICE_LOG"  # in the environment: the path of the log
_STATE_MAX_BYTES = 65_536
_POLL_S = 0.1
_STOP_S = 30


def start(registry, arguments=None):
    """Start this command without --detach; return (path of the log, process id) as soon as the manager is ready.

    Raises CommandError if it ends instead, with the last line that it printed.
    """
    log = Path(f"{registry}.log").absolute()
    given = sys.argv[1:] if arguments is None else arguments
    script = Path(sys.argv[0])
    program = [script] if script.name.startswith("dicectl") else ["-m", "dicectl"]
    argv = [sys.executable, *program, *(argument for argument in given if argument != "--detach")]
    with tempfile.TemporaryDirectory(prefix="dice-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        address = f"{folder}/ready"
        channel.bind(address)
        try:
            descriptor = _open(log)
        except OSError as error:
            raise CommandError(f"cannot write {log}: {error.strerror}", USAGE)
        begin = os.fstat(descriptor).st_size
        try:
            child = subprocess.Popen(
                argv,
                env={**os.environ, "NOTIFY_SOCKET": address, _LOG: str(log)},
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        try:
            _until_ready(child, channel, log, begin)
        except BaseException:
            if child.poll() is None:
                child.terminate()
                child.wait()
            raise
    return str(log), child.pid


def _open(log):
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


class OwnLog:
    """The log of this process, if start() has started it; call keep_small() now and then."""

    def __init__(self):
        self._path = os.environ.pop(_LOG, None)  # programs that this one starts have none

    def keep_small(self):
        """Begin a new log if this one is large, or was moved away; the former one replaces PATH.old."""
        if not self._path:
            return
        try:
            there, size = os.path.exists(self._path), os.fstat(sys.stdout.fileno()).st_size
            if there and size < LOG_MAX_BYTES:
                return
            if there:
                os.replace(self._path, f"{self._path}.old")
            descriptor = _open(self._path)
        except OSError:  # such as a full disk: the next time
            return
        for stream in (sys.stdout, sys.stderr):
            os.dup2(descriptor, stream.fileno())
        os.close(descriptor)


def say(registry, log, pid, as_json):
    """Print what the manager does that start() has started."""
    found = control.call(registry, "status")
    if as_json:
        print(json.dumps({"pid": pid, "log": log, "role": found["role"], "port": found["port"]}))
        return
    does = found.get("waits") or f"serving devices on UDP port {found['port']}"
    print(f"process {pid}: {does}; its log is {log}")
    print(f"to end it: dicectl manager stop {registry}")


def _until_ready(child, channel, log, begin):
    while True:
        if select.select([channel], (), (), _POLL_S)[0] and READY in channel.recv(_STATE_MAX_BYTES).decode().splitlines():
            return
        if child.poll() is not None:
            with log.open("rb") as file:
                file.seek(begin)
                said = file.read().decode(errors="replace").split("\n")
            last = next((line for line in reversed(said) if line.strip()), f"status {child.returncode}")
            raise CommandError(last.removeprefix("dicectl: "), child.returncode if child.returncode > 0 else FAILED)


def wait_for_end(pid, seconds=_STOP_S):
    """Wait until a process has ended; raises CommandError if it does not."""
    end = time.monotonic() + seconds
    while _runs(pid):
        if time.monotonic() > end:
            raise CommandError(f"process {pid} does not end: look at its log, then kill -{signal.SIGKILL.value} {pid}", FAILED)
        time.sleep(_POLL_S)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"  # a zombie has ended
    except OSError:
        return True
