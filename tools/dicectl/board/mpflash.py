# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's own firmware for a board, downloaded by the program mpflash, which is installed separately."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.firmware.recipe import cache

_PAGE = "download it from micropython.org, and name the file with --firmware"


def download(board):
    """Return the path of the newest stable firmware for a BoardSpec; raises CommandError.

    mpflash ends with status 0 when it cannot connect, so only a file in a folder that was empty before shows a download.
    """
    program = shutil.which("mpflash")
    if program is None:
        raise CommandError(f"--download runs mpflash, which is not installed: pip install mpflash; or {_PAGE}", USAGE)
    folder = cache() / "mpflash"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as new:
        done = subprocess.run(
            [program, "download", "--board", board.name, "--version", "stable"],
            env={**os.environ, "MPFLASH_FIRMWARE": new},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        found = _newest(board, Path(new))
        if done.returncode or found is None:
            lines = (done.stderr.strip() or done.stdout.strip() or "it found nothing").splitlines()
            raise CommandError(_failed(board, lines[-1].strip(), _newest(board, folder)), FAILED)
        return found.replace(folder / found.name)


def _newest(board, folder):
    """Return the path of the newest firmware for a board below a folder, or None."""
    suffix = "bin" if board.flashed_by == "esptool" else "uf2"
    name = re.compile(rf"{board.name}-(\d{{8}}-)?v(\d+)\.(\d+)\.(\d+)\.{suffix}")  # variants have another word there
    matches = [(name.fullmatch(path.name), path) for path in folder.rglob(f"*.{suffix}")]
    return max((([int(part) for part in match.groups()[1:]], path) for match, path in matches if match), default=(None, None))[1]


def _failed(board, why, earlier):
    """Return what a download that failed is reported as; `earlier` is the file of a former one, or None."""
    instead = f"{_PAGE}; {earlier} is of an earlier download" if earlier else _PAGE
    return f"mpflash has not downloaded MicroPython for {board.name} ({why}): {instead}"
