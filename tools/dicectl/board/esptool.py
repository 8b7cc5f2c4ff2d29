# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Flashes and verifies the firmware of an ESP32 by esptool."""

import sys

from dicectl.board import raw_repl
from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError

_BAUD = "460800"
_HOLD_BOOT = "hold BOOT while you press and release RESET (EN), then try again"


class Esptool:
    """One run of esptool, in a separate process."""

    def __init__(self, *arguments):
        self._arguments = arguments

    def __str__(self):
        import shlex

        return shlex.join(["python", "-m", "esptool", *self._arguments])

    def run(self, quiet):
        """Run esptool, which shows its progress on a terminal; raises CommandError with its error message."""
        import os
        import re
        import subprocess

        shown = None if sys.stdout.isatty() and not quiet else subprocess.PIPE
        environment = os.environ if shown is None else {**os.environ, "COLUMNS": "1000"}
        done = subprocess.run(
            [sys.executable, "-m", "esptool", *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=shown,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
        )
        if done.returncode == 0:
            return
        match = re.search(r"fatal error occurred: (.*)", done.stderr)
        reason = match[1].strip() if match else (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        if "Failed to connect" in reason:
            raise CommandError(f"no boot loader answers: {_HOLD_BOOT} (esptool: {reason})", NO_DEVICE)
        if "Could not open" in reason:
            raise CommandError(f"esptool: {reason} Close the program that uses the port, or check its permissions.", FAILED)
        raise CommandError(f"esptool: {reason}", FAILED)


def steps(board, port, path, erase, no_reset, dry_run):
    """Return the steps to run: write, then verify with the stub loader that is still running."""
    port = raw_repl.find(port) if port or not dry_run else "PORT"
    if "://" not in port and not _is_terminal(port):
        raise CommandError(f"{port} is not a serial port", USAGE)
    before = "no-reset" if no_reset else "default-reset"
    common = ["--chip", board.chip, "--port", port, "--baud", _BAUD]
    where = [f"{board.flash_offset:#x}", str(path)]
    write = ["write-flash", *(["--erase-all"] if erase else []), *where]
    return [
        Esptool(*common, "--before", before, "--after", "no-reset-stub", *write),
        Esptool(*common, "--before", "no-reset", "--after", "hard-reset", "verify-flash", *where),
    ]


def _is_terminal(port):
    import os
    import stat

    return not os.path.exists(port) or stat.S_ISCHR(os.stat(port).st_mode)
