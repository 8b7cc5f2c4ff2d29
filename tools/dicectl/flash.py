# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`dicectl flash`: puts a firmware onto a board, ESP32s by esptool, RP2s by their boot drive or picotool."""

import sys

import rich_click as click

from dicectl.failure import FAILED, NO_DEVICE, USAGE, Failure

_BAUD = "460800"
_HOLD_BOOT = "hold BOOT while you press and release RESET (EN), then try again"


@click.command("flash")
@click.argument("board")
@click.option("--port", help="Serial port of an ESP32, folder of an RP2's boot drive.  [default: the only one there is]")
@click.option("--firmware", type=click.Path(dir_okay=False), help="What to flash.  [default: build/BOARD/firmware.bin or .uf2]")
@click.option("--erase", is_flag=True, help="Erase everything first: files, counters and settings too.")
@click.option("--no-reset", is_flag=True, help="The ESP32 is in its boot loader already: it has no automatic reset.")
@click.option("--dry-run", is_flag=True, help="Check the firmware, tell what would be done, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(board, port, firmware, erase, no_reset, dry_run, as_json):
    """Write a firmware to a board, and verify it.

    BOARD is one of boards/boards.toml. A firmware for another chip is refused. For an RP2, hold BOOTSEL while you plug it in: it
    shows up as a drive. Counters of a group are in the board's files: --erase loses them, so give the board a new GSA afterwards.

    \b
    Examples:
      dicectl flash ESP32_GENERIC --port /dev/ttyUSB0 --erase
      dicectl flash RPI_PICO --firmware build/RPI_PICO/firmware.uf2
    """
    from dicectl import boards, image

    board = boards.find(board)
    path, size = image.check(board, firmware)
    if board.flashed_by == "esptool":
        steps = _esptool_steps(board, port, path, erase, no_reset, dry_run)
    else:
        from dicectl import bootdrive

        steps = bootdrive.steps(board, port, path, erase, dry_run)
    say = (lambda text: None) if as_json else click.echo
    say(f"{path}: {size:,} bytes for {board.title} at {board.flash_offset:#x}")
    for step in steps:
        say(f"{'would run' if dry_run else 'step'}: {step}")
        if not dry_run:
            step.run(quiet=as_json)
    if as_json:
        import json

        told = {"board": board.name, "firmware": str(path), "bytes": size, "offset": board.flash_offset, "erase": erase}
        click.echo(json.dumps({**told, "steps": [str(step) for step in steps], "dry_run": dry_run}))
    elif not dry_run:
        say("done: written and verified" if board.flashed_by == "esptool" else "done: the board has taken it and restarts")


class _Esptool:
    """One run of esptool, as a process of its own."""

    def __init__(self, *arguments):
        self._arguments = arguments

    def __str__(self):
        import shlex

        return shlex.join(["python", "-m", "esptool", *self._arguments])

    def run(self, quiet):
        """Run it, its own progress shown on a terminal; raises Failure with the reason that it gives."""
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
            raise Failure(f"no boot loader answers: {_HOLD_BOOT} (esptool: {reason})", NO_DEVICE)
        if "Could not open" in reason:
            raise Failure(f"esptool: {reason} Close the program that uses it, or check who may open it.", FAILED)
        raise Failure(f"esptool: {reason}", FAILED)


def _esptool_steps(board, port, path, erase, no_reset, dry_run):
    """Return what is to be run: writing, then verifying in the stub that is still running."""
    from dicectl import device

    port = device.find(port) if port or not dry_run else "PORT"
    if "://" not in port and not _is_terminal(port):
        raise Failure(f"{port} is no serial port", USAGE)
    before = "no-reset" if no_reset else "default-reset"
    common = ["--chip", board.chip, "--port", port, "--baud", _BAUD]
    where = [f"{board.flash_offset:#x}", str(path)]
    write = ["write-flash", *(["--erase-all"] if erase else []), *where]
    return [
        _Esptool(*common, "--before", before, "--after", "no-reset-stub", *write),
        _Esptool(*common, "--before", "no-reset", "--after", "hard-reset", "verify-flash", *where),
    ]


def _is_terminal(port):
    import os
    import stat

    return not os.path.exists(port) or stat.S_ISCHR(os.stat(port).st_mode)
