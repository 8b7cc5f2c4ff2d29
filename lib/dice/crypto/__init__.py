# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The cryptographic back end, chosen once: cryptolib and hashlib on MicroPython, `host` on CPython (row 1).

One that cannot be imported raises: there is no silent fall-back to slower or leakier code. It offers

    name()      which one runs
    sha256()    an object with update(data) and digest(), ended by digest
    crypt()     AES-128-CCM (SP 800-38C, RFC 3610): see blocks.crypt, or the same as machine code where the firmware takes that

A message costs two bulk calls of the block cipher, whatever its length, since a call from Python costs more than a block.
On ESP32 cryptolib reaches the chip's AES accelerator; elsewhere AES is C code in the firmware.
"""

from .._compat import MICROPYTHON

if MICROPYTHON:
    import sys
    from hashlib import sha256

    def name():
        """Return which back end runs and where AES is computed, such as "device (AES in software)"."""
        return "device (AES in %s)" % ("hardware" if sys.platform == "esp32" else "software")
else:
    from .host import name, sha256  # noqa: F401 - part of the back end

# The number of the native code that this firmware takes; 0 where it takes none.
if MICROPYTHON and sys.implementation._mpy >> 10:
    from .ccm_viper import crypt
else:
    from .ccm import crypt  # noqa: F401 - part of the back end
