# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM around the block cipher's two bulk calls, in plain Python (row 1).

For CPython, and for MicroPython without a native code emitter; `blocks_viper` is its equivalent, and a test shows that both agree.
`formatted` is B0 | associated data | plaintext, and one CBC call leaves the tag T in its last block; `stream` is the counter
blocks A0, A1, ..., and one ECB call makes the key stream of them, whose first block masks the tag (SP 800-38C, appendix A).
"""

from .._compat import MICROPYTHON
from ..codes import AES_CBC, AES_ECB

if MICROPYTHON:
    from cryptolib import aes
else:
    from .host import aes

_ZERO_IV = bytes(16)


def _formatted(data, length, nonce, tag_bytes, aad):
    """Return all that goes under the tag, the place of the plaintext zeroed, and where that begins."""
    size = length.to_bytes(2, "big")
    if aad is None:
        aad = bytes(data[3:11]) + bytes(data[:3]) + size
    at = len(aad) + 33 & -16 if aad else 16
    formatted = bytearray(at + (length + 15 & -16))
    formatted[0] = (0x3A if aad else -6) + 4 * tag_bytes
    formatted[1:13] = nonce
    formatted[14:16] = size
    if aad:
        formatted[16:18] = len(aad).to_bytes(2, "big")
        formatted[18 : 18 + len(aad)] = aad
    return formatted, at


def _xor(left, right):
    """Return the exclusive-or of two byte strings of one length, through long integers: one C loop."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def crypt(start, salt, tag_bytes, key, data, aad, plaintext):
    """Seal `plaintext` into `data[start:]`, a bytearray with room for it and its tag of `tag_bytes` (4..16, even), and no more.

    Where `plaintext` is None, open `data[start:]`, anything bytes-like: return the plaintext, or None if the tag does not verify.
    The 12-byte nonce is `salt`, 4 bytes, and the 8 before `start` in `data`; (key, nonce) must never be used twice for sealing.
    `key` has 16 bytes. `aad` is below 65,280 bytes; None stands for the 13 of a record whose header begins `data` (RFC 5246,
    section 6.2.3.3). The arguments are in this order since the first three are in registers in `blocks_viper`.
    """
    length = len(data) - start - tag_bytes
    if length < 0:
        return None
    nonce = bytes(salt) + bytes(data[start - 8 : start])
    formatted, at = _formatted(data, length, nonce, tag_bytes, aad)
    stream = bytearray()
    for i in range((length + 31) // 16):
        stream += b"\2" + nonce + b"\0" + i.to_bytes(2, "big")
    aes(key, AES_ECB).encrypt(stream, stream)
    end = start + length
    opening = plaintext is None
    mixed = _xor(data[start:end] if opening else plaintext, stream[16 : 16 + length])
    formatted[at : at + length] = mixed if opening else plaintext
    aes(key, AES_CBC, _ZERO_IV).encrypt(formatted, formatted)
    tag = _xor(formatted[-16:], stream[:16])[:tag_bytes]
    if not opening:
        data[start:end] = mixed
        data[end:] = tag
        return None
    difference = 0
    for i in range(tag_bytes):  # takes as long wherever they differ
        difference |= tag[i] ^ data[end + i]
    return None if difference else mixed
