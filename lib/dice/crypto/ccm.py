# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM (SP 800-38C, RFC 3610) from two bulk calls of the block cipher, in plain Python.

For MicroPython without a native code emitter; `ccm_viper` is its equivalent, and a test compares the two.
`formatted` is B0 | associated data | plaintext: one CBC call leaves the tag T in its last block. `stream` is the counter blocks
A0, A1, ...: one ECB call makes the key stream of them, whose first block masks the tag (SP 800-38C, appendix A).
"""

from .._compat import MICROPYTHON
from ..codes import AES_CBC, AES_ECB

if MICROPYTHON:
    from cryptolib import aes
else:
    from .host import aes

_ZERO_IV = bytes(16)


def _formatted(length, nonce, tag_bytes, aad):
    """Return the input of CBC-MAC with zeros in the place of the plaintext, and the offset of that place."""
    at = len(aad) + 33 & -16 if aad else 16
    formatted = bytearray(at + (length + 15 & -16))
    formatted[0] = (0x3A if aad else -6) + 4 * tag_bytes
    formatted[1:13] = nonce
    formatted[14:16] = length.to_bytes(2, "big")
    if aad:
        formatted[16:18] = len(aad).to_bytes(2, "big")
        formatted[18 : 18 + len(aad)] = aad
    return formatted, at


def _xor(left, right):
    """Return the exclusive-or of two byte strings of the same length, through long integers: one loop in C."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext):
    """Seal or open `data[start:]`; see dice.suites. `key` has 16 bytes, `salt` 4; `tag_bytes` is even, 4 to 16.

    The arguments have this order because the first three are in registers in `ccm_viper`.
    """
    length = len(data) - start - tag_bytes
    if length < 0:
        return None
    nonce = bytes(salt) + bytes(number[at : at + 8])
    if aad is None:
        aad = bytes(data[3:11]) + bytes(data[:3]) + length.to_bytes(2, "big")
    formatted, at = _formatted(length, nonce, tag_bytes, aad)
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
    for i in range(tag_bytes):  # in constant time
        difference |= tag[i] ^ data[end + i]
    return None if difference else mixed
