# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Modules that a board imports from its RAM, so that nothing is written to its flash; `dicectl` sends this file to its RAM.

A file is forgotten when it is opened, so that its content takes no heap while the module runs.
"""

import io
import sys
from binascii import a2b_base64

import vfs

_FOLDER = "/dicectl.ram"
_files = {}


class _RamFiles:
    """A file system, with the calls that MicroPython needs to import from it and to run a file of it."""

    def mount(self, _readonly, _mkfs):
        """Do nothing."""

    def umount(self):
        """Do nothing."""

    def stat(self, path):
        """Return that a path is a file, if it is."""
        if path in _files:
            return (0x8000, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        raise OSError(2)

    def open(self, path, _mode):
        """Return a file, once."""
        return io.BytesIO(_files.pop(path))


def begin():
    """Mount the files, before all other folders of sys.path."""
    vfs.mount(_RamFiles(), _FOLDER)
    sys.path.insert(0, _FOLDER)


def put(name, text):
    """Append the base64 `text` to a file."""
    name = "/" + name
    _files[name] = _files.get(name, b"") + a2b_base64(text)
