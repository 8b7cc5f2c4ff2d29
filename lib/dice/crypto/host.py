# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Back end for CPython: the `cryptography` package and hashlib; no board carries it."""

from hashlib import sha256  # noqa: F401 - part of the back end

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ECB = 1


def name():
    """Return the back end in use and where it computes AES."""
    return "host (AES of the cryptography package)"


class aes:
    """The part of MicroPython's cryptolib.aes that dice uses: modes 1 (ECB) and 2 (CBC)."""

    def __init__(self, key, mode, iv=None):
        self._cipher = Cipher(algorithms.AES128(bytes(key)), modes.ECB() if mode == _ECB else modes.CBC(iv)).encryptor()

    def encrypt(self, data, out):
        """Encrypt `data`, whole blocks, into `out`, which may be the same bytearray."""
        out[:] = self._cipher.update(data)
