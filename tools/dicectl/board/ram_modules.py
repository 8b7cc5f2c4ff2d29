# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs measuring scripts of on_device/ on a connected board. They are imported from its RAM: nothing is written to its flash."""

import base64
import contextlib
import re

from dicectl import json_file, resources
from dicectl.board.raw_repl import DeviceError
from dicectl.firmware import mpy

FOLDER = "/dicectl.ram"
_CHUNK_BYTES = 1023
_MEMORY = re.compile(r"stack: (\d+) out of (\d+)|max free sz: (\d+)|max new split: (\d+)")


class RamModules:
    """Compiles scripts for a board, whose `mpy` is sys.implementation._mpy, and runs them there."""

    def __init__(self, device, mpy_number):
        self._device = device
        self._flavour = mpy.Flavour(mpy_number)
        self._emitted = mpy.cross_version()
        mpy.check(self._flavour, self._emitted)

    def begin(self, *scripts):
        """Restart the board, with these scripts ready for import."""
        self._device.restart()
        self._device.load("ram_files.py")
        self._device.call("begin")
        for script in scripts:
            data = mpy.compile_file(resources.ON_DEVICE / script, script, self._flavour, self._emitted)
            self.put(script.removesuffix(".py") + ".mpy", data)

    def put(self, name, data):
        """Send one file."""
        for at in range(0, len(data), _CHUNK_BYTES):
            self._device.call("put", name, base64.b64encode(data[at : at + _CHUNK_BYTES]).decode())

    def lines(self, script, *arguments, others=()):
        """Restart the board and run a script; return (its JSON values, the DeviceError that ended it or None).

        `others` are scripts that it imports. A JSON object also gets the figures that mem_info() prints below it: "stack" and
        "stack_limit" in bytes, and "largest", the bytes of the largest free block; "unit" is that of its count.
        """
        self.begin(script, *others)
        name = script.removesuffix(".py")
        output = bytearray()
        trouble = None
        try:
            self._device.follow(f"import sys\nsys.argv[:] = {[name, *map(str, arguments)]!r}\nimport {name}\n", output.extend)
        except DeviceError as error:
            trouble = error
        return parsed(output.decode(errors="replace")), trouble


def parsed(text):
    """Return the JSON values of a script's output, one a line, each with what mem_info() has printed below it."""
    values = []
    for line in text.splitlines():
        if line.startswith(("{", "[")):
            with contextlib.suppress(ValueError):  # another program of the board has printed it
                values.append(json_file.decode(line, (dict, list)))
        elif values and isinstance(values[-1], dict):
            add_memory(values[-1], line)
    return values


def add_memory(figures, text):
    """Add to figures what mem_info() says: see RamModules.lines()."""
    for used, limit, largest, split in _MEMORY.findall(text):
        if limit:
            figures["stack"], figures["stack_limit"] = int(used), int(limit)
        else:  # an ESP32 can also enlarge its heap, by a block of ESP-IDF's
            size = int(largest) * figures.get("unit", 16) if largest else int(split)
            figures["largest"] = max(size, figures.get("largest", 0))
