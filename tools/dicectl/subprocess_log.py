# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Long commands whose output goes to a log file, and the cache folder that all users of it share."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from dicectl import system
from dicectl.errors import CommandError


def cache():
    """Return the folder for downloads and build results: $DICE_CACHE, else `dice` in the user's cache folder."""
    chosen = os.environ.get("DICE_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "dice"


@contextlib.contextmanager
def file_lock(folder, progress):
    """Create `folder`, and let one process at a time work in it; the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        if not system.try_lock(file.fileno()):
            progress("waiting for another dicectl")
            system.lock(file.fileno())
        yield


def require_commands(tools):
    """Raise CommandError if a command of {command: Debian package} is missing; the message names all missing packages."""
    missing = {tool: package for tool, package in tools.items() if not shutil.which(tool)}
    if missing:
        packages = " ".join(dict.fromkeys(missing.values()))
        raise CommandError(f"missing: {', '.join(missing)}; install with: apt-get install --no-install-recommends {packages}")


class Log:
    """A file that records the output of commands. The error of a command that fails names the file."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        path.write_text("")

    def run(self, what, command, cwd=None, environment=None, on_line=None):
        """Run a command and return its output; calls `on_line` with each line. Raises CommandError, which names `what`."""
        command = [str(word) for word in command]
        lines = []
        with self.path.open("a") as log:
            log.write(f"$ {shlex.join(command)}\n")
            log.flush()
            with self._start(command, cwd, environment) as process:
                try:
                    for line in process.stdout:
                        log.write(line)
                        lines.append(line.rstrip())
                        if on_line:
                            on_line(lines[-1])
                except BaseException:
                    os.killpg(process.pid, signal.SIGTERM)
                    raise
        if process.returncode:
            raise CommandError(f"{what} failed: {_cause(lines) or f'status {process.returncode}'}; the whole log is {self.path}")
        return "\n".join(lines)

    def _start(self, command, cwd, environment):
        try:
            return subprocess.Popen(
                command,
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(f"cannot run {command[0]}: {error.strerror}")


def _cause(lines):
    """Return the line of a command's output that explains best why it failed; CMake's reasons follow "CMake Error at ...:"."""
    filled = [line.strip() for line in lines if line.strip()]
    for number, line in enumerate(filled):
        if line.startswith("CMake Error") and line.endswith(":"):
            return " ".join(filled[number + 1 : number + 3])
        if line.startswith("E: ") or re.search(r"\b(error|undefined reference)\b", line, re.IGNORECASE):
            return line
    return filled[-1] if filled else ""
