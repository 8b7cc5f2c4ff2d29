# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measures P-256 in Python: the four operations that a client with a raw public key does in a handshake.

Prints one JSON object: the microseconds of "public", "ecdh", "sign" and "verify", their sum "handshake", and "heap", the bytes that
the module and a call of each leave.
"""

import gc
import json
import time

PRIVATE = bytes(range(1, 33))
NONCE = bytes(range(2, 34))
DIGEST = bytes(range(3, 35))


def measured():
    """Return what is printed."""
    times = {}

    def timed(name, function, *arguments):
        gc.collect()
        start = time.ticks_us()
        result = function(*arguments)
        times[name] = time.ticks_diff(time.ticks_us(), start)
        return result

    from dice import crypto  # so that `heap` is that of P-256

    gc.collect()
    before = gc.mem_alloc()
    from dice.crypto import p256

    point = timed("public", p256.public, PRIVATE)
    timed("ecdh", p256.ecdh, NONCE, point)
    signature = timed("sign", p256.sign, PRIVATE, DIGEST, NONCE)
    if not timed("verify", p256.verify, point, DIGEST, signature):
        raise ValueError(crypto.name())
    times["handshake"] = sum(times.values())
    point = signature = None
    gc.collect()
    times["heap"] = gc.mem_alloc() - before
    return times


print(json.dumps(measured()))
