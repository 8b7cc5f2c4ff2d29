# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Which files of dice make a profile: asks lib/manifest.py, which MicroPython's own tools ask too."""

import contextlib
import os
from types import SimpleNamespace

from dicectl.errors import USAGE, CommandError
from dicectl.resources import LIB


class _Options:
    """Stands for the `options` of MicroPython's manifestfile.py: what was given, else the manifest's default."""

    def __init__(self, given):
        self._values = given

    def defaults(self, **values):
        self._values = {**values, **self._values}

    def __getattr__(self, name):
        return self._values.get(name)


def _evaluate(**options):
    """Return what lib/manifest.py says: `metadata`, `files` of the package and all `profiles`."""
    said = SimpleNamespace(metadata={}, files=[])

    def package(name, files, base_path, opt):
        said.files += [f"{name}/{file}" for file in files]

    scope = {"options": _Options({**options, "fold": False}), "metadata": said.metadata.update, "package": package}
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, os.getcwd())  # a manifest is run in its own folder
        os.chdir(LIB)
        try:
            exec(compile((LIB / "manifest.py").read_text(), str(LIB / "manifest.py"), "exec"), scope)
        except ValueError as error:
            raise CommandError(str(error), USAGE)
    said.profiles = tuple(scope["_profiles"])
    return said


def names():
    """Return the names of all profiles; "none" is one of them."""
    return _evaluate().profiles


def files(profile="full", unix=False, native=None):
    """Return the files of a profile, relative to lib/: "dice/record.py"; raises CommandError.

    `unix`: with what a unix port needs; `native`: for a board that takes native code, or that takes none, not for both.
    """
    return _evaluate(profile=profile, unix=unix, native=native).files


def metadata():
    """Return what the library says about itself: version, description, license, author."""
    return _evaluate().metadata
