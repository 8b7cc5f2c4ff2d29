# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files for a board's flash."""

import functools
import os
import re

from dicectl.firmware import mpy, profiles
from dicectl.resources import LIB


def compiled(root, *names, architecture="armv6m"):
    """Return {name on the board: .mpy} of files below `root`, compiled with their asserts."""
    return {name.removesuffix(".py") + ".mpy": _compiled(root / name, name, architecture) for name in names}


def _compiled(source, name, architecture):
    """Return the .mpy of a file. Those without machine code are the same for all architectures, and compiled once."""
    return _compile(source, name, architecture if _has_machine_code(source) else None)


@functools.lru_cache(None)
def _has_machine_code(source):
    return re.search(rb"@micropython\.(viper|native|asm_)", source.read_bytes())


@functools.lru_cache(None)
def _compile(source, name, architecture):
    return mpy.compile_here(source, name, architecture, level=0)


def dice(architecture="armv6m", whole=False):
    """Return the files of dice that the firmware lacks: none, unless $DICE_FIRMWARE is used, which may have another dice frozen.

    With `whole`, also the modules that no board needs and no firmware has.
    """
    if not whole and "DICE_FIRMWARE" not in os.environ:
        return {}
    return compiled(LIB, *profiles.files("public-keys", unix=True, c_module=False), architecture=architecture)  # stock firmware
