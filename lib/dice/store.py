# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files that survive a power failure, and the counters that are kept in them.

A store is an object with two calls. Names have at most 13 characters of [0-9a-z], values at most 64 bits, so that a store can be
made of files or of the NVS of an ESP32 (dice.store_nvs); dice.open_store() returns the one of the board:

    get(name)           return the value, or None if the name was never put; raises StoreError if it cannot be read
    put(name, value)    store the value, durably when the call returns; raises StoreError if that fails

dice stores a counter before it uses the numbers below it. A counter that is stored after use would repeat numbers after a power
failure, and one AES-CCM nonce used twice with a key discloses records of that key. So it is stored far ahead of the numbers in use,
which saves writes; after a reboot, counting continues at the stored value, and the numbers that were reserved are never used.

`sync(path)` makes a file or a folder durable if the operating system needs a call for that.
"""

import os

from ._compat import Locked, const, create, sync
from ._typing import TYPING
from .errors import DiceError, StoreError
from .reasons import E_STORE_DAMAGED, E_STORE_READ, E_STORE_WRITE

if TYPING:
    from collections.abc import Callable

    from .types import Bytes, Value

_ENOENT = const(2)


def folder_of(path: str) -> str:
    """Return the folder of a file, with a slash at its end, or "."."""
    cut = path.rfind("/") + 1
    return path[:cut] or "."


def read_file(path: str, decode: "Callable[[bytes], Value]") -> "Value | None":
    """Return decode(bytes) of the file at `path`, or None if there is none; raises StoreError, and what `decode` raises.

    FAT cannot replace a file in one step: after a power failure between its remove and its rename, only the new file is there,
    under its temporary name. It is renamed here, unless `decode` raises DiceError: then it is incomplete, and there never was
    another.
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


def replace_file(path: str, data: "Bytes") -> None:
    """Write `data` so that after a power failure the file has the old bytes or the new ones; raises StoreError."""
    try:
        with create(path + ".tmp", "wb") as file:
            file.write(data)
        sync(path + ".tmp")
    except OSError:
        raise StoreError(E_STORE_WRITE)
    _rename(path)


def _read(path: str) -> "bytes | None":
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.args[0] == _ENOENT:
            return None
        raise StoreError(E_STORE_READ)


def _rename(path: str) -> None:
    folder = folder_of(path)
    try:
        os.rename(path + ".tmp", path)
        sync(folder)
    except OSError:
        raise StoreError(E_STORE_WRITE)


def _decode(data: bytes) -> int:
    value = int.from_bytes(data[:8], "big")
    if len(data) != 16 or value ^ int.from_bytes(data[8:], "big") != (1 << 64) - 1:
        raise StoreError(E_STORE_DAMAGED)
    return value


class FileStore(Locked):
    """A store with a file of 16 bytes for each counter, in `folder`. `writes` counts the writes, each of which wears the flash.

    One program at a time may use a folder: two that start together could read the same value before either has written. On Linux
    and macOS, CPython locks the folder until the store is deleted; MicroPython's unix port and CPython on Windows cannot.
    """

    def __init__(self, folder: str = ".") -> None:
        """Keep the files in `folder`; raises StoreError if another program uses it."""
        self._prefix = folder.rstrip("/") + "/"
        self.writes = 0

    def get(self, name: str) -> "int | None":
        """Return the value, or None if the name was never put; raises StoreError if the file cannot be read, or is damaged."""
        return read_file(self._prefix + name, _decode)

    def put(self, name: str, value: int) -> None:
        """Store the value and its complement, by which a damaged file is detected; raises StoreError."""
        self.writes += 1
        both = value.to_bytes(8, "big") + (value ^ (1 << 64) - 1).to_bytes(8, "big")
        replace_file(self._prefix + name, both)
