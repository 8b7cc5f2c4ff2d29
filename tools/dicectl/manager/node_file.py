# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The files of a provisioned node, node.json and its GSAs: in a folder, or on a connected board."""

import importlib.util
import json
import re
from pathlib import Path

from dicectl import resources
from dicectl.board import sync
from dicectl.board.raw_repl import Device
from dicectl.errors import FAILED, USAGE, CommandError
from dicectl.manager.group_file import write_secret

FILE = "node.json"
# Names of node.json, GSAs and counters, with the temporary files of an interrupted write.
_OURS = re.compile(r"node\.json.*|[^/]+\.gsa.*|[0-9a-f]{8}[a-z][0-9a-f]{4}(\..*)?|\.dice-\w+\.tmp")


def managers(folder, settings):
    """Return the Managers of a node in `folder`, with which this computer connects: those of firmware/app, which nodes have too.

    `settings` is the contents of its node.json.
    """
    spec = importlib.util.spec_from_file_location("managers", resources.APP / "managers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Managers(settings, str(Path(folder) / FILE))


def open_target(folder, port):
    """Return a target of `dicectl provision`, a context manager: a folder, a board at a port, or the only board with USB."""
    if folder and port:
        raise CommandError("a device is a folder (--to) or a board (--port): give one of them", USAGE)
    return FolderTarget(folder) if folder else BoardTarget(port)


class FolderTarget:
    """A folder: of a node on the unix port, or of this computer as a member."""

    def __init__(self, folder):
        self._folder = Path(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def check(self):
        """Raise CommandError if there is a node already."""
        if (self._folder / FILE).exists():
            raise CommandError(f"{self._folder / FILE} already exists: wipe that device first, or choose another folder", USAGE)

    def write(self, settings):
        """Write node.json, readable by its owner only, and return where it is; raises CommandError."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"cannot create {self._folder}: {error.strerror}", USAGE)
        write_secret(self._folder / FILE, json.dumps(settings).encode())
        return str(self._folder / FILE)

    def erase(self):
        """Remove node.json, and all GSAs and counters."""
        try:
            for path in self._folder.iterdir() if self._folder.is_dir() else ():
                if _OURS.fullmatch(path.name):
                    path.unlink()
        except OSError as error:
            raise CommandError(f"cannot remove the files in {self._folder}: {error.strerror}", FAILED)


class BoardTarget:
    """A connected board. It is opened before the manager changes anything."""

    def __init__(self, port):
        self._device = Device(port)

    def __enter__(self):
        self._device.__enter__()
        return self

    def __exit__(self, *details):
        self._device.__exit__(*details)

    def check(self):
        """A board's node.json is replaced, so there is nothing to check."""

    def write(self, settings):
        """Write node.json and return where it is; raises CommandError."""
        sync.put(self._device, f"/{FILE}", json.dumps(settings).encode())
        return f"{FILE} on {self._device.port}"

    def erase(self):
        """Remove node.json, and all GSAs and counters."""
        sync.remove(self._device, lambda path: _OURS.fullmatch(path.rpartition("/")[2]))
