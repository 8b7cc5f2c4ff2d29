# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Runs test modules on MicroPython as run.py does, and writes down every nonce: micropython -m recording FILE test_session ...

FILE gets a line `# module::test` for each test, and below it one for each record sealed: key, nonce, ciphertext and tag. All that
seals calls the `crypt` of a suite, also dice.record.seal in C.
"""

import sys

import run

from dice.suites import SUITES


def recorded(crypt, file):
    """Return a suite's `crypt` that writes down what it seals."""

    def sealing(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
        found = crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext)
        if plaintext is not None:
            parts = bytes(key), bytes(salt) + bytes(number[at : at + 8]), bytes(data[start:])
            file.write(" ".join(part.hex() for part in parts) + "\n")
        return found

    return sealing


def announced(test, line, file):
    """Return a test that writes a line first."""

    def announcing():
        file.write(line + "\n")
        test()

    return announcing


def main(path, names):
    """Run the modules; return the exit status."""
    with open(path, "w") as file:
        for suite in SUITES.values():
            suite.cipher = (recorded(suite.cipher[0], file),) + suite.cipher[1:]
        for name in names:
            module = __import__(name)
            for key in dir(module):
                if key.startswith("test_"):
                    setattr(module, key, announced(getattr(module, key), "# %s::%s" % (name, key), file))
        return run.main(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
