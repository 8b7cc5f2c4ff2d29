# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""P-256 on CPython: all vectors, constants computed by another way, and pure Python beside the `cryptography` package."""

import hmac
import importlib
import os
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dice.crypto import curve, ecdsa, host_p256, p256, p256_plain
from dicectl import resources
from host_tests import vectors_p256
from host_tests.seeds import seeds

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
R = 1 << 272
SCALARS = {abs(base + i) for base in (0, N) for i in range(-34, 35)}
SCALARS |= {base + i for base in (N // 2, 1 << 255, 1 << 192, 1 << 128, 1 << 64) for i in range(-2, 3)}
SCALARS = sorted(k for k in SCALARS if 0 < k < N)
VECTOR_TESTS = ("ecdh", "signatures_are_verified", "signatures_in_der_are_verified", "digests_are_signed", "points_are_validated")

scalars = st.one_of(st.sampled_from(SCALARS), st.integers(1, N - 1)).map(lambda k: k.to_bytes(32, "big"))
digests = st.one_of(st.sampled_from([0, 1, N - 1, N, N + 1, (1 << 256) - 1]), st.integers(0, (1 << 256) - 1)).map(
    lambda h: h.to_bytes(32, "big")
)


def octets(k):
    """Return a number as 32 bytes."""
    return k.to_bytes(32, "big")


@pytest.fixture(scope="module")
def portable():
    """Return the portable test module, which reads all vectors."""
    patch = pytest.MonkeyPatch()
    patch.setenv("DICE_VECTORS", str(vectors_p256.whole()))
    patch.syspath_prepend(resources.ROOT / "host_tests" / "portable")
    yield importlib.import_module("test_vectors_p256")
    patch.undo()


@pytest.mark.parametrize("name", [*VECTOR_TESTS, "key_pairs"])
def test_all_vectors(portable, name):
    assert os.environ["DICE_VECTORS"].endswith("vectors_p256")
    getattr(portable, f"test_{name}")()


def test_the_sample_has_cases_of_each_kind():
    assert {name: len(list(cases())) for name, (cases, _) in vectors_p256.SAMPLES.items()} == {
        "p256_ecdh.txt": 2,
        "p256_verify.txt": 3,
        "p256_der.txt": 4,
        "p256_sign.txt": 1,
        "p256_points.txt": 1,
        "p256_keys.txt": 1,
    }


def test_the_comb_is_what_it_says():
    for i in range(8):
        k = (1 << 192) + sum((1 if i >> row & 1 else -1) << 64 * row for row in range(3))
        numbers = ec.derive_private_key(k % N, ec.SECP256R1()).public_key().public_numbers()
        expected = b"".join((c * R % P).to_bytes(34, "little") for c in (numbers.x, numbers.y))
        assert p256._COMB[68 * i : 68 * i + 68] == expected


def test_edge_scalars():
    """1, n - 1, and those for which the last addition is of equal or opposite points: near 0, n and powers of 2^64."""
    point = p256.public(octets(7))
    for k in SCALARS:
        assert p256.public(octets(k)) == host_p256.public(octets(k)), hex(k)
        assert p256.ecdh(octets(k), point) == host_p256.ecdh(octets(k), point), hex(k)


@pytest.mark.parametrize("back", [p256, host_p256])
@pytest.mark.parametrize("private", [bytes(32), octets(N), octets(N + 1), b"\xff" * 32, b"", b"\1", bytes(31) + b"\1\0"])
def test_no_private_key(back, private):
    point = host_p256.public(octets(1))
    for call in (lambda: back.public(private), lambda: back.ecdh(private, point)):
        with pytest.raises(ValueError):
            call()
    with pytest.raises(ValueError):
        ecdsa.sign(private, bytes(32), os.urandom)
    if back is p256:
        with pytest.raises(ValueError):
            p256.sign(private, bytes(32), octets(1))
        with pytest.raises(ValueError):
            p256.sign(octets(1), bytes(32), private)


def wrong_points():
    """Yield byte strings that are no point: off the curve, too long, too short, compressed, hybrid, infinity, too large."""
    good = host_p256.public(octets(5))
    even = next(point for k in range(1, 9) if not (point := host_p256.public(octets(k)))[64] & 1)
    x0 = host_p256.public(octets(N - 5))[1:33]
    yield from (b"", b"\0", bytes(65), b"\4" + bytes(64), good[:-1], good + b"\0", b"\2" + good[1:33], good[1:])
    yield good[:64] + bytes((good[64] ^ 1,))
    yield b"\6" + even[1:]  # hybrid
    yield b"\5" + good[1:]
    yield b"\4" + x0 + bytes(32)
    y = pow(-3 * 5 + 125 + p256._B, (P + 1) // 4, P)  # the curve has a point with X = 5 ...
    assert y * y % P == (5 * 5 * 5 - 3 * 5 + p256._B) % P
    p256.ecdh(octets(2), b"\4" + octets(5) + octets(y))
    yield b"\4" + octets(5 + P) + octets(y)  # ... but its X is not P + 5
    one = next(bytes.fromhex(point) for comment, _, _, point, _ in vectors_p256.ecdh() if comment == "point with coordinate y = 1")
    p256.ecdh(octets(2), one)
    yield one[:33] + octets(1 + P)


@pytest.mark.parametrize("back", [p256, host_p256])
@pytest.mark.parametrize("point", list(wrong_points()), ids=lambda point: point.hex()[:10])
def test_no_point(back, point):
    with pytest.raises(ValueError):
        back.ecdh(octets(3), point)
    assert back.verify(point, bytes(32), octets(1) + octets(1)) is False


@given(st.integers(1, N - 1), st.integers(0, N - 1), st.integers(0, N - 1), st.sampled_from((1, -1)), st.integers(1, 1 << 16))
@example(1, 1, 1, 1, 1)
@settings(max_examples=15, deadline=None)
def test_sums_of_two_multiples(d, k, u, sign, small):
    """k G + u Q for Q = d G; also where that is infinity, or a sum of equal or opposite points on the way."""
    q = host_p256.public(octets(d))
    xy = int.from_bytes(q[1:33], "big"), int.from_bytes(q[33:], "big")
    meet = sign * pow(d, -1, N) * k % N  # k G = +- u Q
    for factor in (u, meet, small, N - small, sign * pow(d, -1, N) * (k + small) % N):
        if factor:
            total = (k + factor * d) % N
            expected = (0, 0)
            if total:
                numbers = ec.derive_private_key(total, ec.SECP256R1()).public_key().public_numbers()
                expected = numbers.x, numbers.y
            assert p256._sum(k, xy, factor) == expected


def additions(k, u):
    """Yield (a, b, c, d) for each addition of p256._sum(k, Q, u): c G + d Q is added to a G + b Q."""
    a = b = 0
    of_k, of_u = p256._digits(k), p256._digits(u)
    for i in range(256):
        a, b = 2 * a, 2 * b
        if i & 3 == 3:
            d = sum((1 if of_u[i - j] == "1" else -1) << j for j in range(4))
            yield a, b, 0, d
            b += d
        if i >= 192:
            c = sum((1 if of_k[i - 64 * j] == "1" else -1) << 64 * j for j in range(4))
            yield a, b, c, 0
            a += c
    assert (a % N, b % N) == (k, u)


def test_sums_that_are_infinity_or_of_equal_points_on_the_way():
    """For each addition a key Q is looked for whose owner can make both points equal or opposite, by a valid signature."""
    tried = 0
    for seed in seeds(1):
        chance = random.Random(seed)
        k, u = chance.randrange(1, N), chance.randrange(1, N)
        for number, (a, b, c, d) in enumerate(additions(k, u)):
            for sign in (1, -1):
                q = -(a - sign * c) * pow(b - sign * d, -1, N) % N
                if not q or not a or (number < 100 and chance.randrange(4)):
                    continue
                point = host_p256.public(octets(q))
                total = (k + u * q) % N
                got = p256._sum(k, (int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")), u)
                expected = host_p256.public(octets(total)) if total else b"\4" + bytes(64)
                assert b"\4" + octets(got[0]) + octets(got[1]) == expected, (seed, number, sign)
                r = int.from_bytes(expected[1:33], "big") % N
                s = r * pow(u, -1, N) % N  # then u = r / s, and h = k s
                for back in (p256, host_p256):
                    assert back.verify(point, octets(k * s % N), octets(r) + octets(s)) is bool(total), (back, seed, number, sign)
                tried += 1
    assert tried > 50


@pytest.mark.parametrize("d", [1, 2, 3, N - 1, N - 2, (1 << 192) % N, (1 << 64) + 1, N // 2, N // 2 + 1])
def test_sums_with_small_multiples_of_the_base(d):
    """Q = +-G, 2G, ...: the entries of the tables meet each other."""
    q = host_p256.public(octets(d))
    xy = int.from_bytes(q[1:33], "big"), int.from_bytes(q[33:], "big")
    for k in (0, 1, 2, 15, 30, N - 1, 1 << 192):
        for u in (1, 2, 15, N - 1, N - 2, 1 << 64):
            total = (k + u * d) % N
            expected = host_p256.public(octets(total))[1:33] if total else bytes(32)
            assert octets(p256._sum(k, xy, u)[0]) == expected, (k, u)


@given(scalars, scalars, digests)
@settings(max_examples=50, deadline=None)
def test_pure_python_equals_the_cryptography_package(private, other, digest):
    point = host_p256.public(other)
    assert p256.public(private) == host_p256.public(private)
    assert p256.ecdh(private, point) == host_p256.ecdh(private, point)
    rs = p256.sign(private, digest, other)
    own = host_p256.public(private)
    if rs:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), own)
        der = encode_dss_signature(int.from_bytes(rs[:32], "big"), int.from_bytes(rs[32:], "big"))
        key.verify(der, digest, ec.ECDSA(Prehashed(SHA256())))
        assert p256.verify(own, digest, rs)
        assert not p256.verify(own, octets(int.from_bytes(digest, "big") ^ 2), rs)
    assert p256.verify(own, digest, host_p256.sign(private, digest))


@given(st.integers(0, (1 << 256) - 1), st.integers(0, (1 << 256) - 1))
@example(0, 0)
@example(127, 128)
@settings(max_examples=200, deadline=None)
def test_der_is_that_of_the_cryptography_package(r, s):
    der = encode_dss_signature(r, s)
    if r and s:
        assert ecdsa.raw(der) == octets(r) + octets(s)
        assert ecdsa._integer(octets(r)) + ecdsa._integer(octets(s)) == der[2:]


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: bytes((0x30, len(tail))) + tail))
@settings(max_examples=300, deadline=None)
def test_der_that_is_read_is_written_likewise(data):
    try:
        rs = ecdsa.raw(data)
    except IndexError:
        return
    if rs:
        assert encode_dss_signature(*(int.from_bytes(half, "big") for half in (rs[:32], rs[32:]))) == data
        assert decode_dss_signature(data)


def test_signatures_differ_and_are_verified():
    """The noise of the nonce makes each signature another one; without noise they are those of RFC 6979."""
    private, digest = octets(99), b"\x55" * 32
    point = curve.public(private)
    made = {ecdsa.sign(private, digest, os.urandom) for _ in range(3)}
    assert len(made) == 3 and all(ecdsa.verify(point, digest, der) for der in made)
    ks = {next(curve.nonces(private, digest, noise)) for noise in (b"", bytes(31), b"\1" * 31)}
    assert len(ks) == 3
    key = ec.derive_private_key(99, ec.SECP256R1())
    expected = key.sign(digest, ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True))
    rs = p256.sign(private, digest, next(curve.nonces(private, digest, b"")))
    assert rs == b"".join(octets(number) for number in decode_dss_signature(expected))


def test_nonces_go_on_after_one_that_gives_no_signature():
    """RFC 6979, section 3.2, written once more with the standard library; with noise, which section 3.6 has at another place."""

    def mac(key, *parts):
        return hmac.digest(key, b"".join(parts), "sha256")

    for noise in (b"", bytes(range(31))):
        seed = noise + octets(3) + octets(7)
        k, v = bytes(32), b"\1" * 32
        k = mac(k, v, b"\0", seed)
        v = mac(k, v)
        k = mac(k, v, b"\1", seed)
        v = mac(k, v)
        nonces = curve.nonces(octets(3), octets(7), noise)
        for _ in range(4):
            v = mac(k, v)
            assert next(nonces) == v
            k = mac(k, v, b"\0")
            v = mac(k, v)


def test_nonces_out_of_range_are_skipped(monkeypatch):
    """RFC 6979, section 3.2, step h.3; SHA-256 gives none in a lifetime."""
    any_ = b"\x77" * 32
    made = iter([any_] * 4 + [bytes(32)] + [any_] * 2 + [octets(N)] + [any_] * 2 + [octets(N - 1)])

    class Known:
        def __init__(self, key):
            pass

        def digest(self, *parts):
            return next(made)

    monkeypatch.setattr(curve, "Hmac", Known)
    assert next(curve.nonces(octets(3), bytes(32), b"")) == octets(N - 1)


def test_a_digest_above_n_is_reduced_for_the_nonce():
    """bits2octets of RFC 6979, section 2.3.4."""
    low, high = (next(curve.nonces(octets(3), octets(h), b"")) for h in (1, N + 1))
    assert low == high


def test_keys_are_rejected_until_one_is_in_range():
    drawn = iter([bytes(32), octets(N), b"\xff" * 32, octets(N - 1), octets(1)])
    assert curve.generate(lambda count: next(drawn)) == octets(N - 1)


def test_a_signature_that_would_have_an_s_of_0_is_none():
    private, k = octets(5), octets(7)
    r = int.from_bytes(p256.public(k)[1:33], "big") % N
    assert p256.sign(private, octets(-r * 5 % N), k) is None


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 9), st.integers(0, 10), st.integers(0, 10)), max_size=12), st.data())
@settings(max_examples=50, deadline=None)
def test_a_program_computes_what_it_says(instructions, data):
    """Numbers that a program leaves are congruent to what it says, and products below 2p, whatever is in its registers."""
    registers = bytearray(576)
    for i in range(10):
        registers[34 * i : 34 * i + 34] = data.draw(st.integers(0, 16 * P)).to_bytes(34, "little")
    values = [int.from_bytes(registers[34 * i : 34 * i + 34], "little") for i in range(11)]
    for m, d, a, b in instructions:
        if (m > 8 and values[b] * (16 - m) > 16 * P) or values[a] + m * values[b] > 60 * P:
            continue
        p256_plain.run(0, 0, bytes((m << 4 | d, a << 4 | b, 15)), registers)
        new = int.from_bytes(registers[34 * d : 34 * d + 34], "little")
        if m:
            assert new == values[a] + (m * values[b] if m < 9 else 16 * P - (16 - m) * values[b])
        else:
            assert new < 2 * P and (new * R - values[a] * values[b]) % P == 0
        values[d] = new
