# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cryptographic back end, chosen once: cryptolib and hashlib on MicroPython, `host` on CPython.

A back end that cannot be imported raises ImportError: there is no silent fallback to slower or leakier code. It offers

    name()      the back end in use
    sha256()    an object with update(data) and digest(), which ends it
    crypt()     AES-128-CCM, as dice.suites describes it: that of `native`, where a board has it; else machine code if the firmware
                takes it, else plain Python; on CPython that of OpenSSL

On a board a message takes two bulk calls of the block cipher, whatever its length: a call from Python takes longer than a block.
On ESP32 cryptolib uses the chip's AES accelerator; elsewhere AES is C code in the firmware.
"""

from hashlib import sha256  # noqa: F401 - part of the back end

from .._compat import MICROPYTHON

if MICROPYTHON:
    import sys

    def name():
        """Return the back end in use and where it computes AES, such as "device (AES in software)"."""
        return "device (AES in %sware)" % ("hard" if sys.platform == "esp32" else "soft")

    try:
        from .native import crypt
    except ImportError:
        # The number of the native code that this firmware takes; 0 if it takes none.
        if sys.implementation._mpy >> 10:
            from .ccm_viper import crypt
        else:
            from .ccm import crypt
else:
    from .host import crypt, name  # noqa: F401 - part of the back end
