# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files on an operating system, under CPython and MicroPython's unix port; a board does not need it (row 0)."""

import os
import sys

if sys.implementation.name == "micropython":
    create = open  # the unix port cannot choose the mode of a new file, so keep it in a folder of mode 0700

    def sync(path):
        """Make what was written to the file or folder at `path` survive a power failure."""
        with open(path, "rb") as file:
            file.flush()  # is fsync here, also of a folder

else:

    def create(path, mode):
        """Open a file for writing that only its owner can read, since it may hold keys; `mode` is "wb"."""
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), mode)

    def sync(path):
        """Make what was written to the file or folder at `path` survive a power failure."""
        if sys.platform == "win32" and os.path.isdir(path):
            return  # Windows opens no folder; NTFS logs the names of files by itself
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
