# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Has a process import the modules that `dicectl.emulator.compile` has made. It imports little, since each board starts with it."""

import sys
from importlib.machinery import PathFinder

PACKAGE = "rp2040py.native"


class _Finder:
    """Finds modules of rp2040py.native in a folder, before the installed ones."""

    def __init__(self, folder):
        self._path = [str(folder)]

    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, self._path) if name.startswith(f"{PACKAGE}.") else None


def use(folder):
    """Have this process import the compiled modules in `folder`, if there are any; to be called before it imports rp2040py."""
    if folder:
        sys.meta_path.insert(0, _Finder(folder))
