# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files on an operating system, for CPython and MicroPython's unix port; boards do not need it."""

import os
import sys

if sys.implementation.name == "micropython":
    create = open  # the unix port cannot choose the mode of a new file, so keep it in a folder of mode 0700

    def sync(path):
        """Write the file or folder at `path` to its disk, so that it survives a power failure; raises OSError."""
        with open(path, "rb") as file:
            file.flush()  # is fsync here, also of a folder

else:

    def create(path, mode):
        """Return a new file that only its owner can read, since it may hold keys; `mode` is "wb". Raises OSError."""
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), mode)

    def sync(path):
        """Write the file or folder at `path` to its disk, so that it survives a power failure; raises OSError."""
        if sys.platform == "win32" and os.path.isdir(path):
            return  # Windows cannot open a folder; NTFS journals file names
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
