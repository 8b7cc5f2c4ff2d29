# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Back end for CPython: the `cryptography` package; no board carries it."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM

_ECB = 1


def name():
    """Return the back end in use and where it computes AES."""
    return "host (AES of the cryptography package)"


def crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
    """Seal or open `data[start:]` by one call of OpenSSL, which takes a seventh of the time of `ccm`; see dice.suites."""
    length = len(data) - start - tag_bytes
    if length < 0:
        return None
    nonce = bytes(salt) + bytes(number[at : at + 8])
    if aad is None:
        aad = bytes(data[3:11]) + bytes(data[:3]) + length.to_bytes(2, "big")
    cipher = AESCCM(bytes(key), tag_bytes)
    if plaintext is not None:
        data[start:] = cipher.encrypt(nonce, bytes(plaintext), aad)
        return None
    try:
        return cipher.decrypt(nonce, bytes(data[start:]), aad)
    except InvalidTag:
        return None


class aes:
    """The part of MicroPython's cryptolib.aes that `ccm` uses, which only tests run here: modes 1 (ECB) and 2 (CBC)."""

    def __init__(self, key, mode, iv=None):
        self._cipher = Cipher(algorithms.AES128(bytes(key)), modes.ECB() if mode == _ECB else modes.CBC(iv)).encryptor()

    def encrypt(self, data, out):
        """Encrypt `data`, whole blocks, into `out`, which may be the same bytearray."""
        out[:] = self._cipher.update(data)
