# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-128-CCM (SP 800-38C, RFC 3610) as TLS uses it (RFC 6655), over a block cipher (row 1).

A message costs two bulk calls of the block cipher, whatever its length, since a call from Python costs more than a block. `crypt`,
which does both and all around them, is the one of `blocks` or, where the firmware takes native code, of `blocks_viper`; the record
layer calls it directly. The caller bounds lengths: associated data below 65,280 bytes, plaintext below 2**16.

The 12-byte nonce is `salt`, 4 bytes, and the 8 bytes before `start`, as in a record; `aad` None stands for the record's header. A
(key, nonce) must never be used twice for sealing.
"""

import sys

from dice._compat import MICROPYTHON

# The number of the native code that this firmware takes; 0 where it takes none.
if MICROPYTHON and sys.implementation._mpy >> 10:
    from dice.crypto.blocks_viper import crypt
else:
    from dice.crypto.blocks import crypt


def seal(key, salt, data, start, end, tag_bytes, aad=None):
    """Encrypt `data[start:end]`, a bytearray, in place and put the tag of `tag_bytes` (4..16, even) behind it."""
    crypt(key, salt, data, start, end - start, tag_bytes, aad or b"", -1 if aad is None else len(aad), False)


def open(key, salt, data, start, tag_bytes, aad=None):
    """Return the plaintext of `data[start:]` (ciphertext | tag, any bytes-like), or None if the tag does not verify."""
    length = len(data) - tag_bytes - start
    if length < 0:
        return None
    return crypt(key, salt, data, start, length, tag_bytes, aad or b"", -1 if aad is None else len(aad), True)
