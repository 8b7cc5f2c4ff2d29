# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Back end for CPython: the `cryptography` package and hashlib; never installed on a board (row 1)."""

from hashlib import sha256  # noqa: F401 - part of the back end

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ECB = 1


def name():
    """Return which back end runs and where AES is computed."""
    return "host (AES of the cryptography package)"


class aes:
    """What dice uses of MicroPython's cryptolib.aes: modes 1 (ECB) and 2 (CBC)."""

    def __init__(self, key, mode, iv=None):
        self._cipher = Cipher(algorithms.AES128(bytes(key)), modes.ECB() if mode == _ECB else modes.CBC(iv)).encryptor()

    def encrypt(self, data, out):
        """Encrypt whole blocks of `data` into `out`, which may be the same bytearray."""
        out[:] = self._cipher.update(data)
