# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files for a board's flash."""

import os

from dicectl.firmware import mpy, profiles
from dicectl.resources import LIB


def compiled(root, *names):
    """Return {name on the board: .mpy} of files below `root`, compiled with their asserts."""
    return {name.removesuffix(".py") + ".mpy": mpy.compile_here(root / name, name, "armv6m", level=0) for name in names}


def dice(whole=False):
    """Return the files of dice that the firmware lacks: none, unless $DICE_FIRMWARE is used, which may have another dice frozen.

    With `whole`, also the modules that no board needs and no firmware has.
    """
    if not whole and "DICE_FIRMWARE" not in os.environ:
        return {}
    return compiled(LIB, *profiles.files(unix=True))
