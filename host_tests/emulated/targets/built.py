# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython for a target, built from Debian's sources once and kept in the cache, as firmware is by dicectl.firmware.recipe."""

import hashlib
import resource
import shutil
from pathlib import Path

from dicectl import resources
from dicectl.firmware import debian, recipe
from dicectl.subprocess_log import Log, cache, file_lock, require_commands

MODULES = Path(__file__).resolve().parents[1] / "modules"  # C modules of MicroPython
MANIFEST = MODULES / "manifest.py"
_TOOLS = {"make": "make", "gcc": "gcc"}


class Build:
    """A build. `inputs` are files and folders of this project that it is made from, `facts` all else that it depends on.

    `tools` is {command: Debian package}. make(tree, work, log) builds in the folder `work` from the sources in `tree`, and
    returns the path of the only file to keep.
    """

    def __init__(self, name, make, inputs, facts=(), tools=None):
        self.name = name
        self._make = make
        self._inputs = [path for given in inputs for path in (sorted(given.rglob("*")) if given.is_dir() else [given])]
        self._facts = facts
        self._tools = {**_TOOLS, **(tools or {})}
        self._path = None

    def packages(self):
        """Return the Debian packages that it needs."""
        return self._tools.values()

    def folder(self, versions):
        """Return the folder in the cache, whose name depends on everything that the build is made from."""
        made_from = hashlib.sha256(repr((versions, self._facts)).encode())
        for path in self._inputs:
            if path.is_file() and path.suffix != ".pyc":
                made_from.update(repr((path.relative_to(resources.ROOT).as_posix(), path.read_bytes())).encode())
        return cache() / "targets" / f"{self.name}-{made_from.hexdigest()[:16]}"

    def get(self, progress=recipe.quiet):
        """Return the path of the built file; raises CommandError."""
        self._path = self._path or self._found(progress)
        return self._path

    def _found(self, progress):
        require_commands(self._tools)
        versions = debian.versions()
        if versions is None:
            debian.tree(progress)
            versions = debian.versions()
        folder = self.folder(versions)
        with file_lock(folder, progress):
            if not (folder / "seconds").exists():
                self._build(debian.tree(progress), folder)
        return folder / self.name

    def seconds(self):
        """Return the processor time that the build took, or None if it was not built here."""
        path = self.folder(debian.versions()) / "seconds"
        return float(path.read_text()) if path.exists() else None

    def _build(self, tree, folder):
        work = folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        before = cpu_seconds()
        made = self._make(tree, work, Log(folder / "build.log"))
        shutil.move(made, folder / self.name)
        shutil.rmtree(work)
        (folder / "seconds").write_text(f"{cpu_seconds() - before:.0f}\n")


def cpu_seconds():
    """Return the processor time of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
