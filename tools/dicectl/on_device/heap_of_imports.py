# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the heap that the import of each module takes; `dicectl footprint` runs it on the emulated board.

Arguments are the modules' names, each behind those that it imports, so that a module is charged with its own. Prints one JSON
object {"heap": {module: bytes}}; modules are not in it if they, or the network that they need, are not on the board. If the first
argument is `sum`, it is {"heap": bytes of all}: that is fast.
"""

import gc
import json
import sys


def allocated():
    """Return the bytes of heap in use."""
    gc.collect()
    return gc.mem_alloc()


def together(names):
    """Return the bytes of heap that all modules take."""
    before = allocated()
    for name in names:
        try:
            __import__(name)
        except ImportError:
            pass
    return allocated() - before


def main(names):
    """Import the modules and print the result."""
    if names[0] == "sum":
        print(json.dumps({"heap": together(names[1:])}))
        return
    heap = dict.fromkeys(names, 0)
    for name in names:
        before = allocated()
        try:
            __import__(name)
            heap[name] = allocated() - before
        except ImportError as error:
            if "no module named" not in str(error):
                raise
            heap.pop(name)
    print(json.dumps({"heap": heap}))


main(sys.argv[1:])
