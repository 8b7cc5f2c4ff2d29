# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Chains of certificates: each mistake ends in its alert, and in no other exception.

The cases are in host_tests/certificate_cases. MicroPython verifies only some of the signatures, which take long in Python.
"""

from support import vectors

from dice._compat import MICROPYTHON
from dice.errors import PeerError
from dice.reasons import E_CERTIFICATE
from dice.x509 import chain as module
from dice.x509.chain import Trust, verify

_ECDSA = module.ecdsa
_EACH = 12 if MICROPYTHON else 1  # of so many successes, the signatures of one are verified


class Believed:
    """In place of ecdsa, where signatures are known to be right."""

    @staticmethod
    def verify(point, digest, signature):
        return len(point) == 65 and len(digest) == 32 and signature[0] == 0x30


def divided(data):
    """Yield the byte strings of a list in a file: each behind its length in two bytes."""
    while data:
        length = int.from_bytes(data[:2], "big")
        yield data[2 : 2 + length]
        data = data[2 + length :]


def outcome(fields):
    """Return the alert that a case ends in; 0 is success."""
    _, _, name, now, usage, pins, since, anchors, chain = fields
    if name:
        name = name[1:].decode() if name[:1] == b"s" else name[1:]
    pins = [pins[at : at + 32] for at in range(0, len(pins), 32)]
    now = int.from_bytes(now, "big") if now else None
    chain = list(divided(chain))
    trust = Trust(list(divided(anchors)), pins, int.from_bytes(since, "big"))
    try:
        leaf = verify(chain, trust, name or None, now, usage[0])
    except PeerError as error:
        assert error.reason == E_CERTIFICATE
        return error.alert
    assert leaf.der == chain[0] and leaf.point[0] == 4 and leaf.spki[-65:] == leaf.point
    return 0


def test_each_mistake_ends_in_its_alert():
    successes = mistakes = 0
    try:
        for fields in vectors("certificates.txt"):
            expected = fields[1][0]
            successes += expected == 0
            mistakes += expected != 0
            module.ecdsa = Believed if expected == 0 and successes % _EACH else _ECDSA
            found = outcome(fields)
            assert found == expected, (fields[0], found)
    finally:
        module.ecdsa = _ECDSA
    assert successes > 40 and mistakes > 80
