# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Flashes an RP2040 or RP2350 by the USB drive of its boot loader, or by picotool if that is on PATH."""

import os
import shlex
import shutil
import string
import subprocess
import time
from pathlib import Path

from dicectl.errors import FAILED, NO_DEVICE, USAGE, CommandError
from dicectl.system import WINDOWS

_INFO = "INFO_UF2.TXT"
_BOARD_IDS = {"rp2040": "RPI-RP2", "rp2350": "RP2350"}
_HOLD = "hold BOOTSEL while you plug the board in, until a drive appears, then try again"
_RESTART_S = 20
_CHUNK_BYTES = 1 << 16


def steps(board, port, path, erase, dry_run):
    """Return the steps to run; raises CommandError if there is no board, except in a dry run without --port."""
    picotool = shutil.which("picotool")
    if port is None and picotool:
        erasing = [_Picotool(picotool, "erase", "-a")] if erase else []
        return [*erasing, _Picotool(picotool, "load", "-v", "-x", str(path))]
    if erase:
        raise CommandError("a boot drive cannot erase: install picotool and omit --port, or omit --erase", USAGE)
    if port is None and dry_run:
        return [_Copy(path, None)]
    return [_Copy(path, find(board, port))]


def mounts():
    """Return the folders where drives are mounted, on Linux, macOS or Windows."""
    found = []
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        found += [line.split()[1].replace("\\040", " ") for line in lines]
    except OSError:
        found += map(str, Path("/Volumes").glob("*"))
        if WINDOWS:
            found += [f"{letter}:\\" for letter in string.ascii_uppercase]
    return found


def _info(folder):
    try:
        return (Path(folder) / _INFO).read_text(errors="replace")
    except OSError:
        return None


def find(board, port):
    """Return the folder of the boot drive for the chip of a BoardSpec, at `port` if given; raises CommandError."""
    if port and _info(port) is None:
        raise CommandError(f"{port} is not a boot drive (it has no {_INFO}): {_HOLD}", NO_DEVICE)
    found = {folder: info for folder in ([port] if port else mounts()) if (info := _info(folder))}
    if not found:
        raise CommandError(f"no board is in its boot loader: {_HOLD}", NO_DEVICE)
    wanted = f"Board-ID: {_BOARD_IDS[board.chip]}"
    fitting = [folder for folder, info in found.items() if wanted in info]
    if not fitting:
        raise CommandError(f"{', '.join(found)} is not the drive of a {board.chip}, the chip of {board.name}", FAILED)
    if len(fitting) > 1:
        raise CommandError(f"several boards are in their boot loaders: choose one with --port {', --port '.join(fitting)}", USAGE)
    return Path(fitting[0])


class _Copy:
    """Copies a UF2 file. The boot loader writes each block to flash, and restarts after the last one."""

    def __init__(self, path, folder):
        self._path = path
        self._folder = folder

    def __str__(self):
        return f"copy {self._path} to {self._folder or 'the boot drive'}"

    def run(self, quiet):
        """Copy, and wait until the drive disappears; raises CommandError."""
        data = Path(self._path).read_bytes()
        broken = None
        try:
            with open(self._folder / "firmware.uf2", "wb") as file:
                for at in range(0, len(data), _CHUNK_BYTES):
                    file.write(data[at : at + _CHUNK_BYTES])
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            broken = error  # no error if the board restarts before the file is closed
        give_up = time.monotonic() + _RESTART_S
        while _info(self._folder) is not None:
            if broken or time.monotonic() > give_up:
                why = broken.strerror if broken else f"it did not restart within {_RESTART_S} s"
                raise CommandError(f"the board did not accept all of {self._path}: {why}; try again", FAILED)
            time.sleep(0.1)


class _Picotool:
    """One run of picotool."""

    def __init__(self, *words):
        self._words = words

    def __str__(self):
        return shlex.join(["picotool", *self._words[1:]])

    def run(self, quiet):
        """Run picotool; raises CommandError with its error message."""
        done = subprocess.run(self._words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
        if done.returncode:
            lines = (done.stderr + done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
            if "No accessible" in done.stderr + done.stdout:
                raise CommandError(f"picotool finds no board in its boot loader: {_HOLD}", NO_DEVICE)
            raise CommandError(f"picotool: {lines[0]}", FAILED)
