# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Back end for MicroPython: cryptolib and hashlib, which every network port has (row 1).

On ESP32 cryptolib reaches the chip's AES accelerator; elsewhere AES is C code in the firmware.
"""

import sys
from hashlib import sha256  # noqa: F401 - part of the back end

from cryptolib import aes  # noqa: F401 - part of the back end

# The number of the native code that this firmware takes; 0 where it takes none.
if sys.implementation._mpy >> 10:
    from dice.crypto import blocks_viper as blocks
else:
    from dice.crypto import blocks  # noqa: F401 - part of the back end

NAME = "device (AES in %s)" % ("hardware" if sys.platform == "esp32" else "software")
