# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the flash that files occupy on the board; `dicectl footprint` runs it on the emulated board.

Arguments are PATH=BYTES. A file system has blocks, and folders take some too. Prints one JSON object {"bytes": ...}.
"""

import json
import os
import sys


def free():
    """Return the bytes of the file system that are free."""
    about = os.statvfs("/")
    return about[0] * about[3]


def main(files):
    """Write files of these sizes and print the result."""
    before, folders = free(), set()
    for path, _, size in [argument.partition("=") for argument in files]:
        at = path.find("/")
        while at > 0:
            if path[:at] not in folders:
                folders.add(path[:at])
                os.mkdir(path[:at])
            at = path.find("/", at + 1)
        with open(path, "wb") as file:
            file.write(bytes(int(size)))
    print(json.dumps({"bytes": before - free()}))


main(sys.argv[1:])
