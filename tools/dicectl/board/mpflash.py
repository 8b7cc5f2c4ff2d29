# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's own firmware for a board, downloaded by the program mpflash, which is installed separately."""

import os
import re
import shutil
import subprocess

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.firmware.recipe import cache

_PAGE = "download it from micropython.org, and name the file with --firmware"


def download(board):
    """Return the path of the newest stable firmware for a BoardSpec; raises CommandError."""
    program = shutil.which("mpflash")
    if program is None:
        raise CommandError(f"--download runs mpflash, which is not installed: pip install mpflash; or {_PAGE}", USAGE)
    folder = cache() / "mpflash"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [program, "download", "--board", board.name, "--version", "stable"],
        env={**os.environ, "MPFLASH_FIRMWARE": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    suffix = "bin" if board.flashed_by == "esptool" else "uf2"
    name = re.compile(rf"{board.name}-(\d{{8}}-)?v(\d+)\.(\d+)\.(\d+)\.{suffix}")  # variants have another word there
    matches = [(name.fullmatch(path.name), path) for path in folder.rglob(f"*.{suffix}")]
    found = [([int(part) for part in match.groups()[1:]], path) for match, path in matches if match]
    if done.returncode or not found:
        lines = (done.stderr.strip() or done.stdout.strip() or "it found nothing").splitlines()
        raise CommandError(f"mpflash has not downloaded MicroPython for {board.name} ({lines[-1].strip()}): {_PAGE}", FAILED)
    return max(found)[1]
