# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Appends every nonce that this process seals with to the file $DICE_NONCES, for host_tests/nonces.py: key, nonce, what was sealed.

Python imports this module when it starts, if its folder is in PYTHONPATH. Nothing of dice is imported before the program does so.
"""

import importlib.util
import os
import sys


class _Finder:
    """Finds dice.suites as Python does, and puts a recorder before each suite once it is loaded."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "dice.suites":
            return None
        sys.meta_path.remove(cls)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            for suite in module.SUITES.values():
                crypt, *others = suite.cipher
                suite.cipher = (_recorded(crypt), *others)

        spec.loader.exec_module = exec_module
        return spec


def _recorded(crypt):
    def recorded(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
        found = crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext)
        if plaintext is not None:
            parts = bytes(key), bytes(salt) + bytes(number[at : at + 8]), bytes(data[start:])
            descriptor = os.open(os.environ["DICE_NONCES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, (" ".join(part.hex() for part in parts) + "\n").encode())
            os.close(descriptor)
        return found

    return recorded


if "DICE_NONCES" in os.environ:
    sys.meta_path.insert(0, _Finder)
