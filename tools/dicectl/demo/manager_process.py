# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The manager of the demo, a separate process in its network."""

import json
import signal
import subprocess
import sys
import time

from dicectl.errors import CommandError
from dicectl.manager import control

PORT = 5685
_TIMEOUT_S = 300  # an emulated board on a busy computer takes minutes


class ManagerProcess:
    """`dicectl manager run` as a context manager, which kills it at the end."""

    def __init__(self, folder, host="127.0.0.1"):
        self.registry = folder / "dice.db"
        self._host = host
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self):
        """Start the manager, and wait until it serves."""
        argv = [sys.executable, "-m", "dicectl", "manager", "run", str(self.registry), "--new"]
        argv += ["--port", str(PORT), "--host", self._host, "--json"]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self._process.stdout.readline()
        if not line.startswith("{") or json.loads(line)["event"] != "serving":
            raise CommandError(f"the manager did not start: {line.strip()}")

    def kill(self):
        """Kill the manager, as a power failure does."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def __call__(self, do, **request):
        """Send a request, as `dicectl group` and `dicectl provision` do; return the answer."""
        return control.call(self.registry, do, **request)

    def until_settled(self, testbed, group):
        """Wait until all connected members have the group's current epoch and it is in use; return the epoch."""
        end = time.monotonic() + _TIMEOUT_S
        while True:
            shown = self("show", group=group)
            if shown["settled"] and shown["active"]:
                return shown["epoch"]
            if time.monotonic() > end:
                raise CommandError(
                    f"timed out after {_TIMEOUT_S} s waiting for {', '.join(shown['missing'])} to have epoch {shown['epoch']}"
                )
            testbed.process_events(0.05)
