# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-128-CCM (SP 800-38C, RFC 3610) as TLS uses it (RFC 6655), over a block cipher (row 1).

Implementation notes: a message costs two bulk calls of the block cipher, whatever its length, since a call from Python costs
more than a block. `formatted` is B0 | associated data | plaintext, and one CBC call leaves the tag T in its last block; `stream` is
the counter blocks A0, A1, ..., and one ECB call makes the key stream of them, whose first block masks the tag. What is done
byte by byte is in `blocks`. The caller bounds lengths: associated data below 65,280 bytes, plaintext below 2**16.

The 12-byte nonce is `salt`, 4 bytes, and the 8 bytes before `start`, as in a record; `aad` None stands for the record's header. A
(key, nonce) must never be used twice for sealing.
"""

from dice._compat import const
from dice.crypto import aes, blocks

_ECB = const(1)
_CBC = const(2)
_ZERO_IV = bytes(16)


def _prepared(data, start, length, salt, tag_bytes, aad):
    """Return `stream` and `formatted`, ready for the block cipher."""
    size = length + 31 & -16
    stream = bytearray(size)
    if aad is None:
        formatted = bytearray(size + 16)
        blocks.prepare(formatted, stream, data, start, length, salt, tag_bytes, b"", -1)
    else:
        formatted = bytearray(size + (len(aad) + 17 & -16 if aad else 0))
        blocks.prepare(formatted, stream, data, start, length, salt, tag_bytes, aad, len(aad))
    return stream, formatted


def seal(key, salt, data, start, end, tag_bytes, aad=None):
    """Encrypt `data[start:end]`, a bytearray, in place and put the tag of `tag_bytes` (4..16, even) behind it."""
    length = end - start
    stream, formatted = _prepared(data, start, length, salt, tag_bytes, aad)
    aes(key, _ECB).encrypt(stream, stream)
    aes(key, _CBC, _ZERO_IV).encrypt(formatted, formatted)
    blocks.finish(data, start, length, stream, formatted, tag_bytes)


def open(key, salt, data, start, tag_bytes, aad=None):
    """Return the plaintext of `data[start:]` (ciphertext | tag, any bytes-like), or None if the tag does not verify."""
    length = len(data) - tag_bytes - start
    if length < 0:
        return None
    stream, formatted = _prepared(data, start, length, salt, tag_bytes, aad)
    aes(key, _ECB).encrypt(stream, stream)
    at = blocks.unmask(formatted, stream, length)
    plaintext = bytes(memoryview(formatted)[at : at + length])
    aes(key, _CBC, _ZERO_IV).encrypt(formatted, formatted)
    return None if blocks.differ(data, start + length, stream, formatted, tag_bytes) else plaintext
