# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM in machine code, for MicroPython with a native code emitter, as on RP2040 and ESP32; `ccm` is its equivalent.

Sealing and opening are one function, because each function takes 150 bytes before its first statement. Bytecode with as many
variables would keep them on the heap.
"""

import micropython
from cryptolib import aes

from ..codes import AES_CBC, AES_ECB

_ZERO_IV = bytes(16)
_NOTHING = None  # viper compares objects only with each other


@micropython.viper
def _xor(count: int, to: ptr8, left: ptr8, right: ptr8):
    """Write the exclusive-or of two byte strings to a third; the first three arguments are in registers."""
    while count:
        count -= 1
        to[count] = left[count] ^ right[count]


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
    size = length + 31 & -16
    stream = bytearray(size)
    counter = ptr8(stream)
    counter[0] = 2
    counter[1] = source[0]
    counter[2] = source[1]
    counter[3] = source[2]
    counter[4] = source[3]
    source = ptr8(int(number) + at)
    i = 0
    while i < 8:
        counter[5 + i] = source[i]
        i += 1
    at = 32
    aad_bytes = 8
    nothing = _NOTHING
    of_record = aad is nothing
    if not of_record:
        aad_bytes = int(len(aad))
        at = aad_bytes + 33 & -16 if aad_bytes else 16
    formatted = bytearray(at + size - 16)
    block = ptr8(formatted)
    words = ptr32(counter)
    to = ptr32(block)  # A0 to B0, then to all other counter blocks
    i = 0
    while i < size:
        to[0] = words[0]
        to[1] = words[1]
        to[2] = words[2]
        to[3] = words[3] + (i >> 12 << 16) + (i << 20)
        i += 16
        to = ptr32(int(counter) + i)
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
    aes(key, AES_ECB).encrypt(stream, stream)
    to = ptr32(int(block) + at)
    i = int(counter) + 16
    opening = plaintext is nothing
    if not opening:
        _xor(length, text, plaintext, i)
    _xor(length, to, text, i)
    if opening:
        plaintext = bytes(memoryview(formatted)[abs(at) : abs(at + length)])  # abs() makes objects of viper's integers
    aes(key, AES_CBC, _ZERO_IV).encrypt(formatted, formatted)
    source = ptr8(int(to) + size - 32)
    text = ptr8(int(text) + length)
    difference = 0
    i = 0
    while i < tag_bytes:  # in constant time
        byte = source[i] ^ counter[i]
        if opening:
            difference |= byte ^ text[i]
        else:
            text[i] = byte
        i += 1
    if difference or not opening:
        return None
    return plaintext
