# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The implementations of AES-CCM agree: plain Python, machine code (viper) over ECB and over CTR, and what is used here."""

import sys

from dice import crypto
from dice._compat import MICROPYTHON
from dice.codes import AES_CTR
from dice.crypto import ccm

KEY = bytes(range(16))
SALT = b"salt"
LENGTHS = (0, 1, 15, 16, 17, 64, 255, 1195, 4100)
AAD = (None, b"", b"a", 14, 15, 300)  # a number: that many bytes of noise


NATIVE = getattr(sys.implementation, "_mpy", 0) >> 10 != 0  # whether the firmware runs machine code


def has_ctr():
    """Return whether cryptolib has the CTR mode, as in firmware of ours for an ESP32."""
    try:
        ccm.aes(KEY, AES_CTR, bytes(16))
    except ValueError:
        return False
    return True


def implementations():
    """Return the functions to compare: plain Python, and what else there is, on CPython that of OpenSSL."""
    found = [ccm.crypt]
    if NATIVE:
        from dice.crypto import ccm_viper

        found.append(ccm_viper.crypt)
        if has_ctr():
            from dice.crypto import ccm_ctr

            found.append(ccm_ctr.crypt)
    return found + ([crypto.crypt] if crypto.crypt not in found else [])


def noise(length, seed):
    """Return pseudo-random bytes, the same in every run."""
    out = bytearray(length)
    for i in range(length):
        seed = (seed * 1103515245 + 12345) & 0x3FFFFFFF
        out[i] = seed >> 16 & 0xFF
    return out


def crypt(implementation, data, tag_bytes, aad, plaintext):
    """Seal `plaintext` into `data`, or open `data` if `plaintext` is None, as a record whose fragment begins at 21."""
    return implementation(21, SALT, tag_bytes, data, 13, KEY, data, aad, plaintext)


def test_the_opened_plaintext_is_an_ordinary_bytes_object():
    """MicroPython stores a hash in a bytes object and compares by it, so the object must not be filled in after it was made."""
    text = b"a command"
    data = bytearray(21 + len(text) + 8)
    for implementation in implementations():
        crypt(implementation, data, 8, None, text)
        opened = crypt(implementation, data, 8, None, None)
        assert type(opened) is bytes and opened == text
        assert hash(opened) == hash(text)
        assert opened.decode() == "".join(["a comm", "and"])
        assert {opened.decode(): 1}.get("".join(["a comm", "and"])) == 1


def test_machine_code_is_used_if_the_port_supports_it():
    """A firmware that names a native architecture runs the machine code, and CPython that of OpenSSL."""
    assert (crypto.crypt is ccm.crypt) == (MICROPYTHON and not NATIVE)
    assert len(implementations()) > 1 or crypto.crypt is ccm.crypt


def test_both_implementations_seal_and_open_alike():
    """Sealing changes only the fragment. Each opens what the other sealed, from any bytes-like object, and leaves it unchanged."""
    for length in LENGTHS:
        text = noise(length + 21, length + 7)
        plaintext = bytes(text[21:])
        for aad in AAD if length < 1000 else AAD[:1]:
            aad = bytes(noise(aad, 1)) if isinstance(aad, int) else aad
            for tag_bytes in (8, 16):
                sealed = []
                for implementation in implementations():
                    data = bytearray(text + bytes(tag_bytes))
                    assert crypt(implementation, data, tag_bytes, aad, plaintext) is None
                    assert data[:21] == text[:21] and len(data) == len(text) + tag_bytes
                    sealed.append(bytes(data))
                assert sealed[0] == sealed[-1]
                for implementation in implementations():
                    for data in (sealed[0], bytearray(sealed[0]), memoryview(sealed[0])):
                        opened = crypt(implementation, data, tag_bytes, aad, None)
                        assert type(opened) is bytes and opened == plaintext
                        assert data == sealed[0]


def test_both_implementations_refuse_a_record_shorter_than_its_tag():
    for implementation in implementations():
        for size in (21, 22, 28):
            assert crypt(implementation, bytes(size), 8, None, None) is None


def test_both_implementations_refuse_any_flipped_bit():
    """In the tag, the ciphertext, the header or the nonce."""
    for implementation in implementations():
        data = noise(21 + 17 + 8, 4)
        crypt(implementation, data, 8, None, bytes(17))
        for bit in range(8 * (21 + 17), 8 * (21 + 17 + 8)):
            data[bit // 8] ^= 1 << bit % 8
            assert crypt(implementation, data, 8, None, None) is None
            data[bit // 8] ^= 1 << bit % 8
        for at in (0, 2, 3, 10, 13, 20, 21, 37):
            data[at] ^= 1
            assert crypt(implementation, data, 8, None, None) is None
            data[at] ^= 1
        assert crypt(implementation, data, 8, None, None) is not None
