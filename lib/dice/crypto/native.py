# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""AES-CCM of firmware that has more than stock MicroPython: the module `_dice` in C (firmware/native), or cryptolib's CTR mode.

ImportError says that there is neither: then crypto takes what every firmware has. A `_dice` of another version raises RuntimeError:
there is no silent fallback to slower code. An ESP32 and boards with `_dice` carry this file.

A `_dice` that is a file computes AES in software, which an ESP32 has an accelerator for: there it serves P-256 alone.
"""

import sys

from cryptolib import aes

from ..codes import AES_CTR, NATIVE_VERSION

try:
    import _dice
except ImportError:
    _dice = None
if _dice and _dice.VERSION != NATIVE_VERSION:
    raise RuntimeError("_dice is of another version: deploy it again")
if _dice and (sys.platform != "esp32" or not hasattr(_dice, "__file__")):
    crypt = _dice.crypt
    seal, open, open_next = _dice.seal, _dice.open, _dice.open_next  # for dtls.record_layer, and for group.native
else:
    try:
        _ctr = aes(bytes(16), AES_CTR, bytes(16))
    except ValueError:
        raise ImportError  # before ccm_ctr is loaded: an ESP32 does not free the memory of machine code
    from .ccm_ctr import crypt  # noqa: F401 - part of the back end
