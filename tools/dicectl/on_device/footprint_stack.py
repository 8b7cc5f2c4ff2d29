# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures the stack that dice needs; `dicectl footprint --port` runs it on a connected board.

The deepest calls of dice are those of cryptolib and hashlib. Here both are replaced by doubles which note the stack in use and then
call the originals. Their own stack, in C, is not in the figures. Prints JSON objects {"what", "bytes"}: the stack in use
at the deepest of these calls, beyond what is in use where dice is called; then what micropython.mem_info() prints, with the limit.
"""

import hashlib
import json
import sys

import cryptolib
import micropython

_deepest = 0


def note():
    """Note the stack in use."""
    global _deepest
    _deepest = max(_deepest, micropython.stack_use())


class Aes:
    """cryptolib.aes."""

    def __init__(self, *arguments):
        self._cipher = _aes(*arguments)

    def encrypt(self, *arguments):
        """Encrypt as the original does."""
        note()
        return self._cipher.encrypt(*arguments)


class Sha256:
    """hashlib.sha256."""

    def __init__(self, *arguments):
        self._hash = _sha256(*arguments)

    def update(self, data):
        """Hash as the original does."""
        note()
        self._hash.update(data)

    def digest(self):
        """End as the original does."""
        return self._hash.digest()


class Double:
    """A module of which one thing is replaced."""

    def __init__(self, original, **replaced):
        self._original = original
        self._replaced = replaced

    def __getattr__(self, name):
        return self._replaced[name] if name in self._replaced else getattr(self._original, name)


_aes, _sha256 = cryptolib.aes, hashlib.sha256
sys.modules["cryptolib"] = Double(cryptolib, aes=Aes)
sys.modules["hashlib"] = Double(hashlib, sha256=Sha256)


def report(what, work):
    """Print the stack that a function needs."""
    global _deepest
    _deepest = base = micropython.stack_use()
    work()
    print(json.dumps({"what": what, "bytes": _deepest - base}))


def main():
    """Measure and print the results."""
    import heap_of_a_member

    member = heap_of_a_member.join("sender", None, heap_of_a_member.RamStore())
    keys = heap_of_a_member.keys_of("sender")
    member.receive(heap_of_a_member.sealed(keys, 0, 4, bytes(64)), 0)
    datagram = heap_of_a_member.sealed(keys, 0, 5, bytes(64))
    report("receive", lambda: member.receive(datagram, 0))
    try:
        import session_cost
    except ImportError as error:
        print(json.dumps({"absent": "handshake", "why": str(error)}))
    else:
        report("handshake", lambda: session_cost.handshake(False))
    micropython.mem_info()


main()
