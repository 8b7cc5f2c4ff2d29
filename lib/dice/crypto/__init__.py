# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Picks the cryptographic back end, once and by name: `device` on MicroPython, `host` on CPython (row 1).

A back end that cannot be imported raises: there is no silent fall-back to slower or leakier code. It offers

    aes(key, mode, iv)   AES-128 in mode 1 (ECB) or 2 (CBC): encrypt(data, out) of whole blocks (SP 800-38A, 6.1 and 6.2)
    sha256()             an object with update(data) and digest(), ended by digest
    blocks               the module `blocks` or its equivalent in machine code
    NAME                 what it is and where AES runs
"""

from dice._compat import MICROPYTHON

if MICROPYTHON:
    from dice.crypto import device as backend
else:
    from dice.crypto import host as backend

aes = backend.aes
sha256 = backend.sha256
blocks = backend.blocks


def name():
    """Return which back end runs and where AES is computed, such as "device (AES in software)"."""
    return backend.NAME
