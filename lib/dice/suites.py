# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Cipher suites: a row each (row 2)."""

from ._compat import const

# Code points of the IANA registry "TLS Cipher Suites" (RFC 6655, section 4).
PSK_AES_128_CCM = const(0xC0A4)
PSK_AES_128_CCM_8 = const(0xC0A8)

TAG_BYTES = {PSK_AES_128_CCM: 16, PSK_AES_128_CCM_8: 8}  # length of the tag; a suite that is not here is not supported
