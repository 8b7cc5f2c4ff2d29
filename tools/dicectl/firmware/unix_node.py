# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Nodes on MicroPython's unix port: firmware/app in a folder, started again whenever it ends, as a board is."""

import json
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from pathlib import Path

from dice.errors import StoreError
from dice.store import replace_file
from dicectl import json_file, resources
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.firmware import unix_port

HEAP = "1m"  # on a 64-bit machine, with modules that are compiled when they are imported
_AGAIN_S = 1
_END_S = 3
_APP_FILE = "app.json"
_APP = {"sensor": "simulated"}  # there is no chip whose temperature could be measured
_LINES_KEPT = 5


class Program:
    """A process whose lines are printed; `lasts`: its end is an error, else it is started again."""

    def __init__(self, name, argv, folder=None, environment=None, lasts=False):
        self.name = name
        self.lasts = lasts
        self.last_lines = deque(maxlen=_LINES_KEPT)
        self.process = None
        self.start_at = 0.0
        self._argv = argv
        self._folder = folder
        self._environment = environment
        self._rest = b""

    def start(self):
        """Start it; raises CommandError."""
        try:
            self.process = subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone
            )
        except OSError as error:
            raise CommandError(f"cannot run {self._argv[0]}: {error.strerror}")

    def read(self):
        """Return the lines that it has printed since the last call, and whether it has closed its output."""
        data = os.read(self.process.stdout.fileno(), 65_536)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data and self._rest:
            lines.append(self._rest)
            self._rest = b""
        texts = [line.decode(errors="backslashreplace") for line in lines]
        self.last_lines.extend(texts)
        return texts, not data

    def end(self, number=signal.SIGINT):
        """End it in good order, so that it does not count as a failed start."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)

    def wait(self):
        """Wait until it has ended, which it must soon."""
        if self.process:
            try:
                self.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


def node(folder, heap=HEAP):
    """Return the Program of a node in its folder."""
    folder = Path(folder)
    argv = [unix_port.find(), "-X", f"heapsize={heap}", str(resources.APP / "main.py")]
    return Program(folder.name, argv, folder, unix_port.environment(f"{resources.APP}:{resources.LIB}"))


def configure(folder, **options):
    """Write the options of a node to app.json, beside those that it has, unless they are None; return those that were written."""
    path = Path(folder) / _APP_FILE
    try:
        found = json_file.read(path, "a file of options", "correct it, or remove it")
        changed = {}
    except FileNotFoundError:
        found, changed = {}, dict(_APP)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", USAGE)
    changed |= {name: value for name, value in options.items() if value is not None and found.get(name) != value}
    if changed:
        try:
            replace_file(str(path), json.dumps({**found, **changed}).encode() + b"\n")
        except StoreError:
            raise CommandError(f"cannot write {path}: the folder is not writable, or its file system is full")
    return changed


def run(programs, say):
    """Run programs until this one is interrupted; `say(name, line)` is called with each line.

    Raises CommandError if one that lasts ends.
    """
    selector = selectors.DefaultSelector()
    waiting = list(programs)
    try:
        while True:
            for program in [each for each in waiting if each.start_at <= time.monotonic()]:
                waiting.remove(program)
                if program.process is None:
                    program.start()
                selector.register(program.process.stdout, selectors.EVENT_READ, program)
            for key, _ in selector.select(_AGAIN_S):
                program = key.data
                lines, ended = program.read()
                for line in lines:
                    say(program.name, line)
                if ended:
                    selector.unregister(key.fileobj)
                    waiting.append(program)
                    _ended(program, say)
    finally:
        for number in (signal.SIGINT, None):
            for program in programs:
                program.end() if number else program.wait()
        selector.close()


def _ended(program, say):
    """Decide what the end of a program means."""
    program.wait()
    status = program.process.returncode
    if program.lasts:
        last = program.last_lines[-1].removeprefix("dicectl: ") if program.last_lines else f"status {status}"
        raise CommandError(f"{program.name} has ended: {last}", FAILED)
    program.process = None
    program.start_at = time.monotonic() + _AGAIN_S
    say(program.name, f"ended with status {status}; it starts again, as a board does")
