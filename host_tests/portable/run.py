# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs test modules on MicroPython: micropython run.py test_wire test_replay ...

Prints a line for each test_ function and a traceback for each failure. Exits with 1 if a test failed.
"""

import gc
import sys

gc.threshold(65536)  # as a program on a small heap does: garbage of imports that is collected late fragments the heap


def run(name):
    """Return (tests run, tests failed) of the module `name`."""
    module = __import__(name)
    count = failed = 0
    for key in sorted(dir(module)):
        if not key.startswith("test_"):
            continue
        gc.collect()
        count += 1
        try:
            getattr(module, key)()
            print("ok    ", name, key)
        except Exception as error:
            failed += 1
            print("FAILED", name, key)
            sys.print_exception(error)
    return count, failed


def main(names):
    """Run the modules; return the exit status."""
    status = 0 if names else 1
    for name in names:
        count, failed = run(name)
        print("%s: %d tests, %d failed" % (name, count, failed))
        if failed or not count:
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
