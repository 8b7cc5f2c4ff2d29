# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The files of each profile of dice, from lib/manifest.py, which MicroPython's own tools evaluate too."""

import contextlib
import functools
import os
from types import SimpleNamespace

from dicectl.errors import USAGE, CommandError
from dicectl.resources import LIB


class _Options:
    """Stands in for the `options` of MicroPython's manifestfile.py: the given value, or the manifest's default."""

    def __init__(self, given):
        self._values = given

    def defaults(self, **values):
        self._values = {**values, **self._values}

    def __getattr__(self, name):
        return self._values.get(name)


@functools.lru_cache(None)
def _evaluate(**options):
    """Evaluate lib/manifest.py; return its `metadata`, the `files` of the package and the names of all `profiles`.

    It is evaluated once in a process for each set of options: it looks for all files of the library.
    """
    found = SimpleNamespace(metadata={}, files=[])

    def package(name, files, base_path, opt):
        found.files += [f"{name}/{file}" for file in files]

    scope = {"options": _Options({**options, "fold": False}), "metadata": found.metadata.update, "package": package}
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, os.getcwd())  # a manifest is executed in its own folder
        os.chdir(LIB)
        try:
            exec(compile((LIB / "manifest.py").read_text(), str(LIB / "manifest.py"), "exec"), scope)
        except ValueError as error:
            raise CommandError(str(error), USAGE)
    found.profiles = tuple(scope["_profiles"])
    return found


def names():
    """Return the names of all profiles; "none" is one of them."""
    return _evaluate().profiles


def files(profile="full", unix=False, native=None, esp32=None, ctr=None, c_module=None):
    """Return the files of a profile, relative to lib/: "dice/record.py"; raises CommandError.

    `unix` adds the files that the unix port needs. `native` is True for a board that runs native code, False for one that does not,
    None for both. `esp32` is False for a board that is no ESP32. `ctr` is True for a board
    whose cryptolib has the CTR mode; None means: if `esp32` is None. `c_module` is True for a board with `_dice`, the module in C;
    False leaves out what loads it.
    """
    return list(_evaluate(profile=profile, unix=unix, native=native, esp32=esp32, ctr=ctr, c_module=c_module).files)


def metadata():
    """Return the library's metadata: version, description, license, author."""
    return dict(_evaluate().metadata)
