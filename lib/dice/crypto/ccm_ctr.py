# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM in machine code over the CTR mode of cryptolib, which firmware of ours has on ESP32; `ccm_viper` is its equivalent.

One call makes the key stream and applies it, where `ccm_viper` encrypts counter blocks one by one: an AES accelerator takes each
block of ECB as a job of its own, and the whole of CTR as one. The counter begins at A0, so `stream`, 16 zeros and the text, becomes
S0, which masks the tag, and the other text (SP 800-38C, appendix A). A message has fewer than 65,536 bytes, so the counter, of two
bytes here and of 16 in cryptolib, ends before it would differ.
"""

import micropython
from cryptolib import aes

from ..codes import AES_CBC, AES_CTR

_ZERO_IV = bytes(16)
_NOTHING = None  # viper compares objects only with each other


@micropython.viper
def _copy(count: int, to: ptr8, source: ptr8):
    """Copy bytes; all arguments are in registers."""
    while count:
        count -= 1
        to[count] = source[count]


@micropython.viper
def crypt(i: int, source: ptr8, tag_bytes: int, number: ptr8, at: int, key, data, aad, plaintext):
    """Seal or open; see dice.suites.

    The first three arguments are in registers, so two of them are reused: `i` is `start`, `source` the salt.
    """
    length = int(len(data)) - i - tag_bytes
    if length < 0:
        return None
    head = ptr8(data)
    text = ptr8(int(head) + i)
    size = length + 15 & -16
    first = bytearray(16)  # A0
    block = ptr8(first)
    block[0] = 2
    block[1] = source[0]
    block[2] = source[1]
    block[3] = source[2]
    block[4] = source[3]
    source = ptr8(int(number) + at)
    i = 0
    while i < 8:
        block[5 + i] = source[i]
        i += 1
    words = ptr32(block)
    at = 32
    aad_bytes = 8
    nothing = _NOTHING
    of_record = aad is nothing
    if not of_record:
        aad_bytes = int(len(aad))
        at = aad_bytes + 33 & -16 if aad_bytes else 16
    formatted = bytearray(at + size)
    block = ptr8(formatted)
    to = ptr32(block)
    to[0] = words[0]
    to[1] = words[1]
    to[2] = words[2]
    to[3] = words[3]
    block[0] = 4 * tag_bytes - 6
    block[14] = length >> 8
    block[15] = length
    if aad_bytes:
        block[0] = 4 * tag_bytes + 0x3A
        if of_record:  # epoch and sequence number are 8 bytes of the header, behind type and version
            block[17] = 13
            block[26] = head[0]
            block[27] = head[1]
            block[28] = head[2]
            block[29] = length >> 8
            block[30] = length
            source = ptr8(int(head) + 3)
        else:
            block[16] = aad_bytes >> 8
            block[17] = aad_bytes
            source = ptr8(aad)
        i = 0
        while i < aad_bytes:
            block[18 + i] = source[i]
            i += 1
    stream = bytearray(16 + size)
    words = ptr32(stream)
    to = ptr32(int(block) + at)
    opening = plaintext is nothing
    if opening:
        _copy(length, int(words) + 16, text)
    else:
        _copy(length, to, plaintext)
        i = 0
        while i < size:
            words[4] = to[0]
            words = ptr32(int(words) + 4)
            to = ptr32(int(to) + 4)
            i += 4
        words = ptr32(stream)
    aes(key, AES_CTR, first).encrypt(stream, stream)
    if opening:
        plaintext = bytes(memoryview(stream)[abs(16) : abs(16 + length)])  # abs() makes objects of viper's integers
        i = 0
        while i < size:
            to[0] = words[4]
            words = ptr32(int(words) + 4)
            to = ptr32(int(to) + 4)
            i += 4
        block = ptr8(int(block) + at)
        i = length
        while i < size:  # padding is zeros
            block[i] = 0
            i += 1
    else:
        _copy(length, text, int(words) + 16)
    aes(key, AES_CBC, _ZERO_IV).encrypt(formatted, formatted)
    source = ptr8(int(to) - 16)
    text = ptr8(int(text) + length)
    block = ptr8(stream)
    difference = 0
    i = 0
    while i < tag_bytes:  # in constant time
        byte = source[i] ^ block[i]
        if opening:
            difference |= byte ^ text[i]
        else:
            text[i] = byte
        i += 1
    if difference or not opening:
        return None
    return plaintext
