# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What AES-CCM does with bytes around the block cipher's bulk calls, in plain Python (row 1).

For CPython, and for MicroPython without a native code emitter; `blocks_viper` is its equivalent, and a test shows that both agree.
`formatted` is B0 | associated data | plaintext and `stream` the counter blocks A0, A1, ..., each of whole blocks (SP 800-38C,
appendix A); both are zeroed before prepare().
"""


def prepare(formatted, stream, data, start, length, salt, tag_bytes, aad, aad_bytes):
    """Fill in everything that goes into the block cipher.

    The nonce is `salt`, 4 bytes, and the 8 bytes before `start` in `data`; `aad` has `aad_bytes`, below 65,280;
    -1 stands for the 13 of a record whose header begins `data` (RFC 5246, section 6.2.3.3).
    """
    size = length.to_bytes(2, "big")
    nonce = bytes(salt) + bytes(data[start - 8 : start])
    if aad_bytes < 0:
        aad = bytes(data[3:11]) + bytes(data[:3]) + size
    formatted[0] = (0x3A if aad else -6) + 4 * tag_bytes
    formatted[1:13] = nonce
    formatted[14:16] = size
    if aad:
        formatted[16:18] = len(aad).to_bytes(2, "big")
        formatted[18 : 18 + len(aad)] = aad
    at = len(formatted) - (length + 15 & -16)
    formatted[at : at + length] = data[start : start + length]
    counter = b"\2" + nonce + b"\0"
    for at in range(0, len(stream), 16):
        stream[at : at + 14] = counter
        stream[at + 14] = at >> 12
        stream[at + 15] = at >> 4 & 0xFF


def _xor(left, right):
    """Return the exclusive-or of two byte strings of one length, through long integers: one C loop."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")


def unmask(formatted, stream, length):
    """Decrypt the ciphertext at the end of `formatted`, zero its padding and return where it begins."""
    start = len(formatted) - (length + 15 & -16)
    end = start + length
    formatted[start:end] = _xor(formatted[start:end], stream[16 : 16 + length])
    formatted[end:] = bytes(-length & 15)
    return start


def finish(data, start, length, stream, formatted, tag_bytes):
    """Encrypt `data` in place and put the tag behind it."""
    end = start + length
    tag = formatted[-16:]
    data[start:end] = _xor(data[start:end], stream[16 : 16 + length])
    data[end : end + tag_bytes] = _xor(tag[:tag_bytes], stream[:tag_bytes])


def differ(data, start, stream, formatted, tag_bytes):
    """Return 0 if the tag in `data` is the right one; takes as long wherever it differs."""
    difference = 0
    for i in range(tag_bytes):
        difference |= data[start + i] ^ formatted[i - 16] ^ stream[i]
    return difference
