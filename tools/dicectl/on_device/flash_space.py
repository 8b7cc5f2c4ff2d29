# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the flash that files occupy on the board; `dicectl footprint` runs it on the emulated board or a connected one.

Arguments are a folder, which is made and removed again, and PATH=BYTES of each file to write in it. A file system has blocks, and
folders take some too. Prints one JSON object {"bytes": ...}.
"""

import json
import os
import sys

_CHUNK = 512


def free():
    """Return the bytes of the file system that are free."""
    about = os.statvfs(os.getcwd())
    return about[0] * about[3]


def remove(path):
    """Remove a folder with its contents."""
    for entry in os.ilistdir(path):
        inner = "%s/%s" % (path, entry[0])
        if entry[1] == 0x4000:
            remove(inner)
        else:
            os.remove(inner)
    os.rmdir(path)


def write(path, size):
    """Write a file of so many bytes."""
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(bytes(min(size, _CHUNK)))


def main(top, *files):
    """Write files of these sizes, print the result, and remove them."""
    os.mkdir(top)
    try:
        before, folders = free(), set()
        for path, _, size in [argument.partition("=") for argument in files]:
            path = "%s/%s" % (top, path)
            at = path.find("/", len(top) + 1)
            while at > 0:
                if path[:at] not in folders:
                    folders.add(path[:at])
                    os.mkdir(path[:at])
                at = path.find("/", at + 1)
            write(path, int(size))
        print(json.dumps({"bytes": before - free()}))
    finally:
        remove(top)


main(*sys.argv[1:])
