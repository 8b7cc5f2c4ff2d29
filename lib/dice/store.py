# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files that survive a power failure, and counters kept in them (row 1).

A store has two calls; names are at most 13 of [0-9a-z], values at most 64 bit, so that a file each or ESP32 NVS both fit:

    get(name) -> int, or None where it was never put; raises StoreError when it cannot tell
    put(name, value): durable when it returns; raises StoreError when it is not

Why reserve ahead: a counter that is written after use repeats itself when the power fails in between, and one AES-CCM nonce
used twice under a key opens that key's records. So the mark is written first, far enough ahead to write rarely; after a
reboot counting goes on at the mark, and what had been reserved is never used.
"""

import os

from ._compat import const, create, sync
from .errors import DiceError, StoreError
from .reasons import E_STORE_DAMAGED, E_STORE_READ, E_STORE_WRITE

_ENOENT = const(2)


def folder_of(path):
    """Return the folder of a file, "." or with a slash at its end."""
    cut = path.rfind("/") + 1
    return path[:cut] or "."


def read_file(path, decode):
    """Return decode(bytes) of the file at `path`, or None where there is none; raises StoreError, and what `decode` raises.

    FAT cannot replace a file in one step: cut between its remove and its rename, it leaves only the new file, under its
    temporary name. That is put in its place here; if it was cut while it was written, there never was another.
    """
    data = _read(path)
    if data is not None:
        return decode(data)
    data = _read(path + ".tmp")
    if data is None:
        return None
    try:
        value = decode(data)
    except DiceError:
        return None
    _rename(path)
    return value


def replace_file(path, data):
    """Write `data` so that after a power failure the old bytes are there or the new; raises StoreError."""
    try:
        with create(path + ".tmp", "wb") as file:
            file.write(data)
        sync(path + ".tmp")
    except OSError:
        raise StoreError(E_STORE_WRITE)
    _rename(path)


def _read(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.args[0] == _ENOENT:
            return None
        raise StoreError(E_STORE_READ)


def _rename(path):
    folder = folder_of(path)
    try:
        os.rename(path + ".tmp", path)
        sync(folder)
    except OSError:
        raise StoreError(E_STORE_WRITE)


def _decode(data):
    value = int.from_bytes(data[:8], "big")
    if len(data) != 16 or value ^ int.from_bytes(data[8:], "big") != (1 << 64) - 1:
        raise StoreError(E_STORE_DAMAGED)
    return value


class FileStore:
    """Keeps each counter in a file of 16 bytes in `folder`; `writes` counts what the flash had to bear.

    One program at a time: two that start together on one folder may read the same number before either has written.
    """

    def __init__(self, folder="."):
        self._prefix = folder.rstrip("/") + "/"
        self.writes = 0

    def get(self, name):
        """Return the counter, or None where it was never put."""
        return read_file(self._prefix + name, _decode)

    def put(self, name, value):
        """Replace the counter; the complement beside it tells a damaged file from a low value."""
        self.writes += 1
        both = value.to_bytes(8, "big") + (value ^ (1 << 64) - 1).to_bytes(8, "big")
        replace_file(self._prefix + name, both)
