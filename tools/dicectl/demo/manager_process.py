# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The manager of the demo: a process of its own, on loopback."""

import json
import signal
import subprocess
import sys
import time

from dicectl.errors import CommandError
from dicectl.manager import control

PORT = 5685
_PATIENCE_S = 60


class ManagerProcess:
    """`dicectl manager run`, as a context manager that ends it."""

    def __init__(self, folder):
        self.registry = folder / "house.db"
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Start it, and wait until it serves."""
        argv = [sys.executable, "-m", "dicectl", "manager", "run", str(self.registry)]
        argv += ["--port", str(PORT), "--host", "127.0.0.1", "--json"]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self._process.stdout.readline()
        if not line.startswith("{") or json.loads(line)["event"] != "serving":
            raise CommandError(f"the manager does not start: {line.strip()}")

    def kill(self):
        """Kill it, as a power failure would."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def __call__(self, do, **request):
        """Have it do something, as `dicectl group` and `dicectl provision` have; return its answer."""
        return control.call(self.registry, do, **request)

    def until_settled(self, testbed, group):
        """Wait until all members that can be reached have the group's present epoch, and it is in use; return the epoch."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            shown = self("show", group=group)
            if shown["settled"] and shown["active"]:
                return shown["epoch"]
            if time.monotonic() > end:
                raise CommandError(
                    f"waited {_PATIENCE_S} s in vain for {', '.join(shown['missing'])} to have epoch {shown['epoch']}"
                )
            testbed.pump(0.05)
