# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 against Wycheproof and NIST: pure Python, the native module `_dice` if there is one, on CPython the package `cryptography`.

$DICE_VECTORS has a sample, for boards; unit/test_p256_host.py and unix_port/test_p256_whole.py run this with all cases.
"""

from support import vectors

from dice._compat import MICROPYTHON
from dice.crypto import curve, ecdsa, p256


def back_ends():
    """Return the back ends of this interpreter."""
    found = [p256]
    if MICROPYTHON:
        try:
            import _dice

            found.append(_dice)
        except ImportError:
            pass
    else:
        from dice.crypto import host_p256

        found.append(host_p256)
    return found


def shared(back, private, point):
    """Return the shared secret, or "invalid"."""
    try:
        return back.ecdh(private, point)
    except ValueError:
        return "invalid"


def counted(name, check):
    """Call `check` with each back end and each case; print and return the number of cases."""
    count = 0
    for case in vectors(name):
        for back in back_ends():
            assert check(back, *case), (back, case)
        count += 1
    print("%s: %d cases" % (name, count))
    return count


def test_ecdh():
    def check(back, verdict, private, point, secret):
        return shared(back, private, point) == (secret if verdict == "valid" else "invalid")

    assert counted("p256_ecdh.txt", check)


def test_signatures_are_verified():
    def check(back, verdict, point, digest, rs):
        return back.verify(point, digest, rs) is (verdict == "valid")

    assert counted("p256_verify.txt", check)


def test_signatures_in_der_are_verified():
    def check(back, verdict, point, digest, der):
        try:
            rs = ecdsa.raw(der)
        except IndexError:
            rs = None
        return (bool(rs) and back.verify(point, digest, rs)) is (verdict == "valid")

    assert counted("p256_der.txt", check)
    for verdict, point, digest, der in vectors("p256_der.txt"):
        if verdict != "valid" or curve.name() != "pure":
            assert ecdsa.verify(point, digest, der) is (verdict == "valid")


def test_digests_are_signed():
    def check(back, private, point, digest, k, rs):
        if not back.verify(point, digest, rs):
            return False
        return back.__name__.endswith("host_p256") or back.sign(private, digest, k) == rs

    assert counted("p256_sign.txt", check)


def test_points_are_validated():
    one = bytes(31) + b"\1"

    def check(back, verdict, point):
        return (shared(back, one, point) == point[1:33]) is (verdict == "valid")

    assert counted("p256_points.txt", check)


def test_key_pairs():
    assert counted("p256_keys.txt", lambda back, private, point: back.public(private) == point)
