# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Folders of the files that dicectl works with and does not import: the library as boards get it, boards, firmware, scripts.

No other module knows where they are. An installed dicectl has a copy of them in its folder data/, which setup.py puts there; it is
never written to. In a clone of the repository, and in an editable install of one, they are the clone's own.
"""

import importlib.resources
from pathlib import Path

from dicectl.errors import USAGE, CommandError

_PACKAGE = Path(str(importlib.resources.files("dicectl")))
_DATA = _PACKAGE / "data"
_CLONE = None if _DATA.is_dir() else _PACKAGE.parent.parent

ROOT = _CLONE or _DATA  # what follows lies in it as in the repository
LIB = ROOT / "lib"  # sources of dice, and the manifest that names them
BOARDS = ROOT / "boards"  # MicroPython's definition of each board, boards.toml and budgets.toml
FIRMWARE = ROOT / "firmware"
APP = FIRMWARE / "app"
EXAMPLES = FIRMWARE / "examples"
FIGURES = ROOT / "docs" / "footprint.json"  # the last that `dicectl footprint --write` measured
MEASURED = ROOT / "docs" / "measured"  # results of `dicectl footprint --port P --add NAME`
MONITORING = ROOT / "tools" / "dicectl" / "monitoring"  # rules of alerts and a dashboard for users of Prometheus and Grafana
PREBUILT = ROOT / "tools" / "dicectl" / "prebuilt"  # native modules that a wheel carries: firmware/prebuilt.py
EMULATOR = ROOT / "tools" / "dicectl" / "emulator"  # its loop, in Cython: emulator/compile.py
ON_DEVICE = ROOT / "tools" / "dicectl" / "on_device"  # scripts that run on MicroPython


def is_clone():
    """Return whether dicectl runs from a clone of the repository."""
    return _CLONE is not None


def clone(purpose):
    """Return the folder of the repository; raises CommandError if dicectl does not run from a clone, which `purpose` needs."""
    if _CLONE is None:
        raise CommandError(f"{purpose} needs a clone of the repository: run dicectl from there, after `make`", USAGE)
    return _CLONE
