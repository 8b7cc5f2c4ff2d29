# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A record of any length costs exactly two calls of the block cipher on a board; on CPython, `ccm` shows what it costs there."""

import sys

from dice import crypto, record
from dice._compat import MICROPYTHON
from dice.codes import CONTENT_APPLICATION_DATA
from dice.dtls.record_layer import open_cid, seal_cid
from dice.limits import DATAGRAM_MAX_BYTES, RECORD_OVERHEAD_MAX_BYTES
from dice.suites import SUITES

if not MICROPYTHON:
    import dice.crypto.ccm

_FOUND = [name for name in ("ccm_ctr", "ccm_viper", "ccm") if "dice.crypto." + name in sys.modules]
_USED = crypto.crypt if MICROPYTHON else dice.crypto.ccm.crypt
_NAME = next((name for name in _FOUND if sys.modules["dice.crypto." + name].crypt is _USED), None)
CBC = 2
STREAM = 6 if _NAME == "ccm_ctr" else 1  # CTR or ECB
KEY = bytes(range(16))
SALT = bytes(4)


class CountingCipher:
    """Wraps the block cipher of the back end and records (mode, bytes) of each call."""

    made = []
    calls = []

    def __init__(self, key, mode, iv=None):
        self._cipher = _aes(key, mode, iv) if iv else _aes(key, mode)
        self._mode = mode
        self.made.append(mode)

    def encrypt(self, data, out):
        """Encrypt, and record the call."""
        self.calls.append((self._mode, len(data)))
        self._cipher.encrypt(data, out)


_module = sys.modules["dice.crypto." + _NAME] if _NAME else None
_aes = _module and _module.aes


def count(function, *arguments):
    """Return (result, calls of the block cipher)."""
    CountingCipher.made.clear()
    CountingCipher.calls.clear()
    _module.aes = CountingCipher
    try:
        result = function(*arguments)
    finally:
        _module.aes = _aes
    assert sorted(CountingCipher.made) == sorted([STREAM, CBC])
    return result, sorted(CountingCipher.calls)


def check(plaintext, cipher, cid=b""):
    """Assert that sealing and opening cost one call for the key stream and one CBC call each."""
    inner = len(plaintext) + len(cid)  # with a CID, the inner plaintext has one more byte: the content type
    blocks = (inner + 15) // 16
    header_blocks = 2 if not cid else 3  # B0, and 13 or 24 bytes of additional data with their length
    expected = [(STREAM, 16 * (blocks + 1)), (CBC, 16 * (blocks + header_blocks))]
    expected.sort()
    seal, open_, end = (seal_cid, open_cid, (cid,)) if cid else (record.seal, record.open, ())
    datagram, calls = count(seal, cipher, KEY, SALT, CONTENT_APPLICATION_DATA, 1, 5, plaintext, *end)
    assert calls == expected, calls
    end = (len(cid),) if cid else ()
    opened, calls = count(open_, cipher, KEY, SALT, datagram, *end)
    assert calls == expected, calls
    assert opened == ((CONTENT_APPLICATION_DATA, plaintext) if cid else plaintext)
    datagram[-1] ^= 1
    opened, calls = count(open_, cipher, KEY, SALT, datagram, *end)
    assert opened is None
    assert calls == expected, calls


def test_sealing_and_opening_a_record_cost_two_bulk_calls_each():
    if not _NAME:
        return  # the module `_dice` in C, which has no use for cryptolib
    longest = DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES
    assert longest == 1195
    for length in (0, 1, 15, 16, 17, longest):
        for suite in SUITES.values():
            cipher = (_USED,) + suite.cipher[1:]
            check(bytes(length), cipher)
            check(b"\xff" * length, cipher, b"\x42")
