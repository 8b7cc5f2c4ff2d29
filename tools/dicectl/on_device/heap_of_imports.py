# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the heap that the import of each module takes; `dicectl footprint` runs it on the emulated board.

Arguments are the modules' names, each behind those that it imports, so that a module is charged with its own. Prints one JSON
object {"heap": {module: bytes}}; modules that need a network are not in it if the board has none.
"""

import gc
import json
import sys


def allocated():
    """Return the bytes of heap in use."""
    gc.collect()
    return gc.mem_alloc()


def main(names):
    """Import the modules and print the result."""
    heap = dict.fromkeys(names, 0)
    for name in names:
        before = allocated()
        try:
            __import__(name)
            heap[name] = allocated() - before
        except ImportError as error:
            if "socket" not in str(error):
                raise
            heap.pop(name)
    print(json.dumps({"heap": heap}))


main(sys.argv[1:])
