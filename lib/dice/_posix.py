# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files on an operating system, under CPython and MicroPython's unix port; a board does not need it (row 0)."""

import os
import sys

if sys.implementation.name == "micropython":

    def create(path):
        """Open a file for writing; the unix port cannot choose its mode, so keep it in a folder of mode 0700."""
        return open(path, "wb")

    def sync(path):
        """Make what was written to the file or folder at `path` survive a power failure."""
        with open(path, "rb") as file:
            file.flush()  # is fsync here, also of a folder

else:

    def create(path):
        """Open a file for writing that only its owner can read, since it may hold keys."""
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    def sync(path):
        """Make what was written to the file or folder at `path` survive a power failure."""
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
