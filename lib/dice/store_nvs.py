# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The store of an ESP32: counters in NVS, the key-value store of ESP-IDF in a flash partition of its own.

A write adds an entry of 32 bytes to a page of 126 entries, and a page is erased when it is full of old ones: a counter costs 40
bytes, where a file costs 260. MicroPython offers integers of 32 bits and blobs, each of which NVS replaces in one step. So a
counter is two keys:

    name            a blob: the base, 8 bytes, and the character "A" or "B", which no name has
    name | "A"      an integer, added to the base if the blob has "A"
    name | "B"      the same for "B"

Most writes change the integer alone. For another epoch, the integer of the other character is set to 0, then the blob is replaced,
which has that character and the new base: a power failure leaves the old value or the new one.

The counters in files are taken over, each when it is first used: the higher value of both is stored, and the file is removed
before the counter is used. It would have an old value if NVS were erased later.
"""

import os

from ._compat import const
from ._typing import TYPING
from .errors import StoreError
from .reasons import E_STORE_DAMAGED, E_STORE_READ, E_STORE_WRITE

if TYPING:
    from typing import Any

    from .types import Store

_ABSENT = const(-0x1102)  # ESP_ERR_NVS_ABSENT
_BLOB_BYTES = const(9)
_CHOICE_AT = const(8)
_DELTA_END = const(1 << 31)


class NvsStore:
    """A store in the NVS of an ESP32. `writes` counts the writes, each of which wears the flash.

    One program at a time may use it. The counters of all folders are in one namespace.
    """

    def __init__(self, files: "Store", folder: str = ".", namespace: str = "dice") -> None:
        """Take over the counters in `files`, the FileStore of `folder`; raises StoreError if NVS cannot be opened."""
        from esp32 import NVS  # type: ignore[import-not-found]

        self.writes = 0
        self._old = files
        self._folder = folder.rstrip("/") or "/"
        try:
            self._nvs: Any = NVS(namespace)
        except OSError:
            raise StoreError(E_STORE_READ)
        self._names = {name[:-4] if name.endswith(".tmp") else name for name in self._list()}

    def get(self, name: str) -> "int | None":
        """Return the value, or None if the name was never put; raises StoreError if it cannot be read, or is damaged."""
        if name in self._names:
            self._take_over(name)
        blob = self._blob(name)
        return None if blob is None else self._value(name, blob)

    def put(self, name: str, value: int) -> None:
        """Store the value; raises StoreError."""
        if name in self._names:
            self._take_over(name)
        self._put(name, value)

    def _put(self, name: str, value: int) -> None:
        blob = self._blob(name)
        self.writes += 1
        choice = blob[_CHOICE_AT:].decode() if blob else "B"
        delta = value - int.from_bytes(blob[:_CHOICE_AT], "big") if blob else -1
        try:
            if 0 <= delta < _DELTA_END:
                self._nvs.set_i32(name + choice, delta)
            else:
                choice = "B" if choice == "A" else "A"
                self._nvs.set_i32(name + choice, 0)
                self._nvs.set_blob(name, value.to_bytes(_CHOICE_AT, "big") + choice.encode())
            self._nvs.commit()
        except OSError:
            raise StoreError(E_STORE_WRITE)

    def _blob(self, name: str) -> "bytearray | None":
        """Return the blob of a counter, or None if there is none."""
        blob = bytearray(_BLOB_BYTES)
        try:
            count = self._nvs.get_blob(name, blob)
        except OSError as error:
            if error.args[0] == _ABSENT:
                return None
            raise StoreError(E_STORE_READ)
        if count != _BLOB_BYTES or blob[_CHOICE_AT] not in b"AB":
            raise StoreError(E_STORE_DAMAGED)
        return blob

    def _value(self, name: str, blob: bytearray) -> int:
        try:
            delta = self._nvs.get_i32(name + blob[_CHOICE_AT:].decode())
        except OSError as error:
            if error.args[0] != _ABSENT:
                raise StoreError(E_STORE_READ)
            delta = -1
        if delta < 0:
            raise StoreError(E_STORE_DAMAGED)
        return int.from_bytes(blob[:_CHOICE_AT], "big") + delta

    def _take_over(self, name: str) -> None:
        value = self._old.get(name)
        if value is not None:
            blob = self._blob(name)
            if blob is None or self._value(name, blob) < value:
                self._put(name, value)
        try:
            for file in (name + ".tmp", name):  # the counter last: until then, all is tried again
                if file in self._list():
                    os.remove(self._folder + "/" + file)
        except OSError:
            raise StoreError(E_STORE_WRITE)
        self._names.remove(name)

    def _list(self) -> "list[str]":
        try:
            return os.listdir(self._folder)
        except OSError:
            return []  # no such folder
