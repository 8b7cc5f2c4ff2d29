# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Counters and a saved session in the RTC memory of an ESP32, for programs that sleep: it outlives that, but no power failure.

Each counter has two values: the exact one in RTC memory, and one in the store in flash, which is never lower. A number that is used
is below the exact value, so it is below the value in flash, at which counting continues when RTC memory is lost. The flash is
written when a value would exceed that in flash, which then gets `ahead` more: once for so many sequence numbers, or seconds of a
lifetime. The block in RTC memory has a checksum, and a value in it counts only while the flash holds the value that was written
with it: another program has not counted on meanwhile. The block is read for every call, because all stores of a program share it.

The counters r, c and a of a group (dice.group.counters) are in flash alone: ahead, they would be commands that are not obeyed after
a power failure.

    "dRTC" | CRC-32 of what follows, 4 bytes | number of counters, 1 byte
    for each counter: length of its name, 1 byte | name | exact value, 8 bytes | value in flash, 8 bytes
    the saved session
"""

from binascii import crc32

from ._compat import const
from ._typing import TYPING
from .errors import StoreError

if TYPING:
    from collections.abc import Callable
    from typing import Any

    from .types import Bytes, Store

_MAGIC = b"dRTC"
_HEAD_BYTES = const(8)
_MEMORY_BYTES = const(2048)  # of machine.RTC().memory() in MicroPython's firmware
_AHEAD = const(256)
_LOW = const(0xFFFFFF)  # a session's sequence number has 24 bits; what is above them must stay what it is
_NAME_BYTES = const(13)  # of a counter of a group, whose letter is at
_KIND_AT = const(8)


class RtcStore:
    """A store in RTC memory before `store`, the one in flash; `writes` counts those of the latter. There is one RTC memory."""

    def __init__(self, store: "Store", memory: "Callable[..., Any] | None" = None, ahead: int = _AHEAD) -> None:
        """`memory` is machine.RTC().memory by default; `ahead` is how far flash may be ahead. A damaged block is forgotten."""
        if memory is None:
            from machine import RTC  # type: ignore[import-not-found]

            memory = RTC().memory
        self.writes = 0
        self._store = store
        self._memory = memory
        self._ahead = ahead

    def get(self, name: str) -> "int | None":
        """Return the value, or None if the name was never put; raises StoreError."""
        flash = self._store.get(name)
        exact, written = self._read_block()[0].get(name, (flash, flash))
        return exact if written == flash else flash

    def put(self, name: str, value: int) -> None:
        """Store the value; raises StoreError."""
        if len(name) == _NAME_BYTES and name[_KIND_AT] in "rca":
            self._write(name, value)
            return
        flash = self._store.get(name)
        failure = None
        if flash is None or value > flash:
            flash = value + self._ahead if (value & _LOW) + self._ahead <= _LOW else value
            try:
                self._write(name, flash)
            except StoreError as error:
                if self._store.get(name) != flash:
                    raise
                failure = error  # but it did reach the flash
        values, kept = self._read_block()
        known = name in values
        values[name] = (value, flash)
        if not self._write_block(values, kept):
            if known:  # it had room before; its old value would count again once the flash has what was written with it
                self._memory(b"")
            self._write(name, value)
        if failure:
            raise failure

    def keep(self, session: "Bytes") -> bool:
        """Keep the result of dice.save(), b"" for none; return whether there is room for it."""
        return self._write_block(self._read_block()[0], bytes(session))

    def kept(self) -> bytes:
        """Return what keep() was given, b"" after a power failure."""
        return self._read_block()[1]

    def _write(self, name: str, value: int) -> None:
        self.writes += 1
        self._store.put(name, value)

    def _read_block(self) -> "tuple[dict[str, tuple[int, int]], bytes]":
        """Return {name: (exact value, value in flash)} and the session."""
        data = self._memory()
        values: dict[str, tuple[int, int]] = {}
        if (
            len(data) <= _HEAD_BYTES
            or data[:4] != _MAGIC
            or int.from_bytes(data[4:_HEAD_BYTES], "big") != crc32(data[_HEAD_BYTES:])
        ):
            return values, b""
        at = _HEAD_BYTES + 1
        for _ in range(data[_HEAD_BYTES]):
            end = at + 1 + data[at]
            name = data[at + 1 : end].decode()
            at = end + 16
            values[name] = (int.from_bytes(data[end : end + 8], "big"), int.from_bytes(data[end + 8 : at], "big"))
        return values, data[at:]

    def _write_block(self, values: "dict[str, tuple[int, int]]", kept: bytes) -> bool:
        parts = [bytes((len(values),))]
        for name, (exact, flash) in values.items():
            parts += [bytes((len(name),)), name.encode(), exact.to_bytes(8, "big"), flash.to_bytes(8, "big")]
        data = b"".join(parts) + kept
        if len(data) > _MEMORY_BYTES - _HEAD_BYTES:
            return False
        try:
            self._memory(_MAGIC + crc32(data).to_bytes(4, "big") + data)
        except ValueError:  # this firmware has less
            return False
        return True
