# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-128-CCM (SP 800-38C, RFC 3610): the `crypt` of `blocks`, or of `blocks_viper` where the firmware takes native code (row 1).

A message costs two bulk calls of the block cipher, whatever its length, since a call from Python costs more than a block.
"""

import sys

from dice._compat import MICROPYTHON

# The number of the native code that this firmware takes; 0 where it takes none.
if MICROPYTHON and sys.implementation._mpy >> 10:
    from dice.crypto.blocks_viper import crypt
else:
    from dice.crypto.blocks import crypt  # noqa: F401 - for records and tickets
