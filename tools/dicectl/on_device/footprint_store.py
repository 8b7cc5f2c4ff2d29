# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures what a counter in flash costs; `dicectl footprint --port` runs it on a connected board.

Arguments: a folder for some files, which must not exist, and is removed; and "files", or "nvs" for an ESP32. Prints JSON objects:
{"kind", "put_us": microseconds of one write to the store}; then {"programmed", "erased": bytes of flash for `puts` writes, "puts",
"block"}. Those of files are counted by a file system in RAM: the same littlefs with blocks of the same size, so that the flash of
the board is not worn for that. Those of NVS are what its documentation says.
"""

import json
import os
import sys
import time

import vfs

from dice.store import FileStore

_ROUNDS = 4  # on the flash
_PUTS = 32  # in RAM
_BLOCKS = 16
_PLACE = "/dicectl.count"
_NAMESPACE = "dicectl.tmp"
# NVS cannot be counted: see dice.store_nvs. An entry has 32 bytes, and 8 more are written; a page of 4 KB has 126.
_OF_NVS = {"programmed": 40 * 126, "erased": 4096, "puts": 126, "block": 4096}
_PROGRAM = 256 if sys.platform == "rp2" else 32  # bytes: the least that the port programs at once


class CountingFlash:
    """A block device in RAM, of which only the blocks in use take heap."""

    def __init__(self, size):
        self._size = size
        self._empty = b"\xff" * size
        self._blocks = {}
        self.programmed = self.erased = 0

    def readblocks(self, number, buffer, offset=0):
        """Read."""
        block = self._blocks.get(number, self._empty)
        buffer[:] = memoryview(block)[offset : offset + len(buffer)]

    def writeblocks(self, number, buffer, offset=0):
        """Program, into an erased place."""
        block = self._blocks[number]  # erased before
        block[offset : offset + len(buffer)] = buffer
        self.programmed += len(buffer)

    def ioctl(self, code, value):
        """Answer for the block count (4), the block size (5), an erase (6), and the rest."""
        if code == 4:
            return _BLOCKS
        if code == 5:
            return self._size
        if code == 6:
            self._blocks[value] = bytearray(self._empty)
            self.erased += self._size
        return 0


def put_us(store):
    """Return the microseconds of a put."""
    store.put("first", 1)
    start = time.ticks_us()
    for value in range(_ROUNDS):
        store.put("first", 2 + value)
    return time.ticks_diff(time.ticks_us(), start) // _ROUNDS


def in_files(folder):
    """Return the microseconds of a put into files."""
    os.mkdir(folder)
    try:
        return put_us(FileStore(folder))
    finally:
        for name in os.listdir(folder):
            os.remove("%s/%s" % (folder, name))
        os.rmdir(folder)


def in_ram(size):
    """Return the counts of writes to a counter."""
    flash = CountingFlash(size)
    vfs.VfsLfs2.mkfs(flash, progsize=_PROGRAM)
    vfs.mount(vfs.VfsLfs2(flash, progsize=_PROGRAM), _PLACE)
    try:
        store = FileStore(_PLACE)
        store.put("first", 0)
        programmed, erased = flash.programmed, flash.erased
        for value in range(_PUTS):
            store.put("first", value)
    finally:
        vfs.umount(_PLACE)
    return {"programmed": flash.programmed - programmed, "erased": flash.erased - erased, "puts": _PUTS, "block": size}


def in_nvs(folder):
    """Return the microseconds of a put into NVS, in a namespace of its own, which is empty afterwards."""
    from esp32 import NVS

    from dice.store_nvs import NvsStore

    try:
        return put_us(NvsStore(FileStore(folder), folder, _NAMESPACE))
    finally:
        nvs = NVS(_NAMESPACE)
        for name in ("first", "firstA", "firstB"):
            try:
                nvs.erase_key(name)
            except OSError:
                pass
        nvs.commit()


def main(folder, kind):
    """Measure and print the results."""
    if kind == "nvs":
        print(json.dumps({"kind": kind, "put_us": in_nvs(folder)}))
        print(json.dumps(_OF_NVS))
    else:
        print(json.dumps({"kind": kind, "put_us": in_files(folder)}))
        print(json.dumps(in_ram(os.statvfs(os.getcwd())[0])))


main(*sys.argv[1:])
