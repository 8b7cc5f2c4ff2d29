# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM of firmware that has more than stock MicroPython: the module `_dice` in C (firmware/native), or cryptolib's CTR mode.

ImportError says that there is neither: then crypto takes what every firmware has. A `_dice` of another version raises RuntimeError:
there is no silent fallback to slower code. An ESP32 and boards with `_dice` carry this file.
"""

from cryptolib import aes

from ..codes import AES_CTR, NATIVE_VERSION

try:
    import _dice
except ImportError:
    try:
        _ctr = aes(bytes(16), AES_CTR, bytes(16))
    except ValueError:
        raise ImportError  # before ccm_ctr is loaded: an ESP32 does not free the memory of machine code
    from .ccm_ctr import crypt
else:
    if _dice.VERSION != NATIVE_VERSION:
        raise RuntimeError("_dice is of another version: deploy it again")
    crypt = _dice.crypt
    seal, open = _dice.seal, _dice.open  # for dtls.record_layer
