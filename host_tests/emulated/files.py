# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What the tests put into a board's flash."""

import os

from dicectl.firmware import mpy, profiles
from dicectl.resources import LIB


def compiled(root, *names):
    """Return {name on the board: .mpy} of files below `root`; their asserts stay in."""
    return {name.removesuffix(".py") + ".mpy": mpy.compile_here(root / name, name, "armv6m", level=0) for name in names}


def dice(whole=False):
    """Return what a board lacks of dice: nothing, unless a firmware was given that may have frozen another one.

    `whole`: with what no board needs, and so no firmware has.
    """
    if not whole and "DICE_FIRMWARE" not in os.environ:
        return {}
    return compiled(LIB, *profiles.files(unix=True))
