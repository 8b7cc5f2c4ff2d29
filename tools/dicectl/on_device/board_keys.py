# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Makes the key pair of a board, for `dicectl provision --key rpk`, which sends this file to its RAM.

The private key is in RAM until keep_key() writes it to node.json. Neither is it printed, nor does anything else write it.
"""

import json
import os
from binascii import hexlify, unhexlify
from hashlib import sha256

_made = bytearray(32)


def _random(salt):
    """Return a function random(n) of the board's random numbers, to which the salt of the host adds what they may lack.

    It is a hash of 64 random bytes of the board and of the salt: as good as the better of the two.
    """

    def random(count):
        data = b""
        while len(data) < count:
            data += sha256(os.urandom(64) + salt).digest()
        return data[:count]

    return random


def new_key(salt):
    """Make a private key with the board's random numbers and a salt, hexadecimal; print its point."""
    from dice.crypto import curve

    _made[:] = curve.generate(_random(unhexlify(salt)))
    print(repr(hexlify(curve.public(bytes(_made))).decode()))


def keep_key(path, text):
    """Write node.json, JSON without the private key, with it; print the point of the key that is read back from there."""
    from dice.crypto import curve
    from dice.store import read_file, replace_file

    settings = json.loads(text)
    settings["private"] = hexlify(_made).decode()
    replace_file(path, json.dumps(settings).encode())
    _made[:] = bytes(32)
    stored = read_file(path, json.loads)
    print(repr(hexlify(curve.public(unhexlify(stored["private"]))).decode()))
