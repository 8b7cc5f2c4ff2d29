# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cryptographic back end, chosen once: cryptolib and hashlib on MicroPython, `host` on CPython (row 1).

One that cannot be imported raises: there is no silent fall-back to slower or leakier code. It offers

    aes(key, mode, iv)   AES-128 in mode 1 (ECB) or 2 (CBC): encrypt(data, out) of whole blocks (SP 800-38A, 6.1 and 6.2)
    sha256()             an object with update(data) and digest(), ended by digest

On ESP32 cryptolib reaches the chip's AES accelerator; elsewhere AES is C code in the firmware.
"""

from dice._compat import MICROPYTHON

if MICROPYTHON:
    import sys
    from hashlib import sha256

    from cryptolib import aes
else:
    from dice.crypto.host import aes, sha256  # noqa: F401 - part of the back end


def name():
    """Return which back end runs and where AES is computed, such as "device (AES in software)"."""
    if MICROPYTHON:
        return "device (AES in %s)" % ("hardware" if sys.platform == "esp32" else "software")
    return "host (AES of the cryptography package)"
