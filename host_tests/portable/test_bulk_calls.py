# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A record of any length costs exactly two calls of the block cipher."""

import sys

from dice import record
from dice.codes import CONTENT_APPLICATION_DATA
from dice.dtls.record_layer import open_cid, seal_cid
from dice.limits import DATAGRAM_MAX_BYTES, RECORD_OVERHEAD_MAX_BYTES
from dice.suites import SUITES

ECB = 1
CBC = 2
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


_module = sys.modules["dice.crypto.ccm_viper" if "dice.crypto.ccm_viper" in sys.modules else "dice.crypto.ccm"]
_aes = _module.aes


def count(function, *arguments):
    """Return (result, calls of the block cipher)."""
    CountingCipher.made.clear()
    CountingCipher.calls.clear()
    _module.aes = CountingCipher
    try:
        result = function(*arguments)
    finally:
        _module.aes = _aes
    assert sorted(CountingCipher.made) == [ECB, CBC]
    return result, sorted(CountingCipher.calls)


def check(plaintext, cipher, cid=b""):
    """Assert that sealing and opening cost one ECB call and one CBC call each."""
    inner = len(plaintext) + len(cid)  # with a CID, the inner plaintext has one more byte: the content type
    blocks = (inner + 15) // 16
    header_blocks = 2 if not cid else 3  # B0, and 13 or 24 bytes of additional data with their length
    expected = [(ECB, 16 * (blocks + 1)), (CBC, 16 * (blocks + header_blocks))]
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
    longest = DATAGRAM_MAX_BYTES - RECORD_OVERHEAD_MAX_BYTES
    assert longest == 1195
    for length in (0, 1, 15, 16, 17, longest):
        for suite in SUITES.values():
            check(bytes(length), suite.cipher)
            check(b"\xff" * length, suite.cipher, b"\x42")
