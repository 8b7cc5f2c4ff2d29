# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The same as `blocks`, in machine code: for MicroPython with a native code emitter, as on RP2040 and ESP32 (row 1)."""

import micropython


@micropython.viper
def prepare(formatted, stream, data: ptr8, start: int, length: int, salt: ptr8, tag_bytes: int, aad: ptr8, aad_bytes: int):
    """Fill in everything that goes into the block cipher."""
    to = ptr8(formatted)
    counter = ptr8(stream)
    counter[0] = 2
    to[0] = 0x3A + 4 * tag_bytes
    i = 0
    while i < 4:
        to[1 + i] = counter[1 + i] = salt[i]
        i += 1
    i = 0
    while i < 8:
        to[5 + i] = counter[5 + i] = data[start - 8 + i]
        i += 1
    to[14] = length >> 8
    to[15] = length
    at = 32
    if aad_bytes == 0:
        to[0] = to[0] - 0x40
        at = 16
    elif aad_bytes < 0:
        to[17] = 13
        to[29] = length >> 8
        to[30] = length
        i = 0
        while i < 8:
            to[18 + i] = data[3 + i]
            i += 1
        to[26] = data[0]
        to[27] = data[1]
        to[28] = data[2]
    else:
        to[16] = aad_bytes >> 8
        to[17] = aad_bytes
        i = 0
        while i < aad_bytes:
            to[18 + i] = aad[i]
            i += 1
        at = ((aad_bytes + 17) & -16) + 16
    i = 0
    while i < length:
        to[at + i] = data[start + i]
        i += 1
    words = ptr32(stream)
    i = 4
    size = int(len(stream)) >> 2
    while i < size:
        words[i] = words[0]
        words[i + 1] = words[1]
        words[i + 2] = words[2]
        words[i + 3] = words[3]
        counter[(i << 2) + 14] = i >> 10
        counter[(i << 2) + 15] = i >> 2
        i += 4


@micropython.viper
def unmask(formatted, stream: ptr32, length: int) -> int:
    """Decrypt the ciphertext at the end of `formatted`, zero its padding and return where it begins."""
    to = ptr32(formatted)
    end = int(len(formatted))
    start = end - ((length + 15) & -16)
    i = start >> 2
    j = 4
    while j < ((length + 31) >> 4) << 2:
        to[i] = to[i] ^ stream[j]
        to[i + 1] = to[i + 1] ^ stream[j + 1]
        to[i + 2] = to[i + 2] ^ stream[j + 2]
        to[i + 3] = to[i + 3] ^ stream[j + 3]
        i += 4
        j += 4
    pad = ptr8(formatted)
    i = start + length
    while i < end:
        pad[i] = 0
        i += 1
    return start


@micropython.viper
def finish(data: ptr8, start: int, length: int, stream: ptr8, formatted, tag_bytes: int):
    """Encrypt `data` in place and put the tag behind it."""
    tag = ptr8(formatted)
    at = int(len(formatted)) - 16
    i = 0
    while i < length:
        data[start + i] = data[start + i] ^ stream[16 + i]
        i += 1
    start += length
    i = 0
    while i < tag_bytes:
        data[start + i] = tag[at + i] ^ stream[i]
        i += 1


@micropython.viper
def differ(data: ptr8, start: int, stream: ptr8, formatted, tag_bytes: int) -> int:
    """Return 0 if the tag in `data` is the right one; takes as long wherever it differs."""
    tag = ptr8(formatted)
    at = int(len(formatted)) - 16
    difference = 0
    i = 0
    while i < tag_bytes:
        difference |= data[start + i] ^ tag[at + i] ^ stream[i]
        i += 1
    return difference
