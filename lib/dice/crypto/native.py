# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM of firmware that has more than stock MicroPython: the module `_dice` in C (firmware/native), or cryptolib's CTR mode.

ImportError says that there is neither: then crypto takes what every firmware has. An ESP32 and boards with `_dice` carry this file.
"""

from cryptolib import aes

from ..codes import AES_CTR, NATIVE_VERSION

try:
    import _dice

    if _dice.VERSION != NATIVE_VERSION:
        raise ImportError
    crypt = _dice.crypt
except (ImportError, AttributeError):
    try:
        _ctr = aes(bytes(16), AES_CTR, bytes(16))
    except ValueError:
        raise ImportError  # before ccm_ctr is loaded: an ESP32 does not free the memory of machine code
    from .ccm_ctr import crypt  # noqa: F401 - part of the back end
