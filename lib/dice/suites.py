# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Cipher suites: one object each, found in SUITES by its code point in the IANA registry "TLS Cipher Suites".

A suite protects records with the key of one direction, or of one sender. It is all that `record`, the record layer and a group know
of a cipher. It has these attributes, here those of a class, so that nothing is made at import time:

    key_bytes    length of the key of one direction: its encryption key, or its MAC key
    keys_bytes   length of key and salt; the salt is the fixed IV (RFC 5246, section 6.3)
    overhead     by how many bytes a record is longer than its plaintext: 21 to 37
    records_max  how many records one key may seal
    cipher       (crypt, start, nonce_at, tag_bytes, salt_bytes, keys_bytes), in a tuple, since finding an attribute takes 4 us

In a record the ciphertext begins at `start`: 21 behind an explicit nonce, 13 without one. The nonce is at `nonce_at`: 13 if it is
explicit, 3 if it is epoch | sequence number.

    crypt(start, salt, tag_bytes, number, at, key, data, aad, plaintext)

seals `plaintext` (bytes-like) into `data[start:]`, a bytearray with room for the ciphertext and a tag of `tag_bytes`, and returns
None. If `plaintext` is None, it opens `data[start:]` (bytes-like) and returns the plaintext (bytes), or None if the tag does not
verify.

The nonce has two parts (RFC 5116, section 3.2): `salt`, fixed for a key, and the 8 bytes from `number[at]` on. The latter come as a
buffer and an offset, because a slice takes a board 16 us. A pair of key and nonce must never seal twice.

`aad` is the additional data, below 65,280 bytes. None stands for those of a record without a connection id, whose header begins
`data`: epoch | sequence number | type | version | length of the plaintext (RFC 5246, section 6.2.3.3). To put these together takes
a board 35 us outside of machine code.

Another suite is a file of its own, which ends in `SUITES[code] = ...`. A key exchange offers its code point in `suites`, a GSA
names it. A code point that also names a key exchange other than that of pre-shared keys is for sessions only: its suite is
`SUITES[-code]`, which no GSA finds. A suite with authentication alone takes the plaintext as its ciphertext, and no salt.
"""

from ._compat import const
from .crypto import crypt
from .limits import KEY_RECORDS_MAX

# RFC 6655, section 4.
PSK_AES_128_CCM = const(0xC0A4)
PSK_AES_128_CCM_8 = const(0xC0A8)


class AesCcm:
    """AES-128-CCM with a tag of 16 bytes (RFC 6655)."""

    key_bytes = 16
    keys_bytes = 20
    overhead = 37
    records_max = KEY_RECORDS_MAX
    cipher = crypt, 21, 13, 16, 4, 20


class AesCcm8(AesCcm):
    """AES-128-CCM with a tag of 8 bytes (RFC 6655)."""

    overhead = 29
    cipher = crypt, 21, 13, 8, 4, 20


SUITES = {PSK_AES_128_CCM: AesCcm, PSK_AES_128_CCM_8: AesCcm8}
