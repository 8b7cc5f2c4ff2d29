# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-128-CCM as TLS uses it (RFC 6655), of anything but records (row 1).

The caller bounds lengths: associated data below 65,280 bytes, plaintext below 2**16. The 12-byte nonce is `salt`, 4 bytes, and the
8 bytes before `start`, as in a record; `aad` None stands for the record's header. A (key, nonce) must never be used twice for
sealing.
"""

from dice.crypto.ccm import crypt


def seal(key, salt, data, start, end, tag_bytes, aad=None):
    """Encrypt `data[start:end]`, a bytearray, in place and put the tag of `tag_bytes` (4..16, even) behind it."""
    crypt(key, salt, data, start, end - start, tag_bytes, aad or b"", -1 if aad is None else len(aad), False)


def open(key, salt, data, start, tag_bytes, aad=None):
    """Return the plaintext of `data[start:]` (ciphertext | tag, any bytes-like), or None if the tag does not verify."""
    length = len(data) - tag_bytes - start
    if length < 0:
        return None
    return crypt(key, salt, data, start, length, tag_bytes, aad or b"", -1 if aad is None else len(aad), True)
