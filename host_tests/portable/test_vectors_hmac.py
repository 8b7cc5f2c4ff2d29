# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""HMAC-SHA256, P_SHA256 and the key derivations of groups compared with independently computed values.

Values that no standard lists were computed with CPython's hmac module alone:
P_SHA256(secret, seed) = H(A1 | seed) | H(A2 | seed) | ..., H = hmac.new(secret, ..., "sha256"), A0 = seed, Ai+1 = H(Ai).
"""

from support import vectors

from dice.crypto.hmac import Hmac, p_sha256
from dice.group.context import sender_key
from dice.group.gsa_encode import traffic_key

KEY = bytes(range(16))


def test_the_vectors_of_rfc_4231():
    count = 0
    for key, message, mac in vectors("hmac_sha256.txt"):
        hmac = Hmac(key)
        assert hmac.digest(message) == mac
        assert hmac.digest(message[:3], b"", message[3:]) == mac
        count += 1
    assert count == 6


def test_the_truncated_vector_of_rfc_4231():
    mac = Hmac(b"\x0c" * 20).digest(b"Test With Truncation")
    assert mac[:16] == bytes.fromhex("a3b6167473100ee06e0c796c2955552b")


def test_keys_around_the_block_length():
    message = b"message"
    assert Hmac(bytes(64)).digest(message) == Hmac(b"").digest(message)
    assert Hmac(bytes(65)).digest(message) != Hmac(b"").digest(message)


def test_the_tls_12_prf():
    secret = bytes.fromhex("9bbe436ba940f017b17652849a71db35")
    seed = b"test label" + bytes.fromhex("a0ba9f936cda311827a6f796ffd5198c")
    expected = bytes.fromhex(
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
        "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66"
    )
    assert len(expected) == 100
    assert p_sha256(secret, seed, 100) == expected
    for length in (0, 1, 31, 32, 33, 64):
        assert p_sha256(secret, seed, length) == expected[:length]


def test_the_traffic_key_of_a_group():
    mul_id = bytes.fromhex("ff150000000000000000000000000abc")
    tek = traffic_key(KEY, mul_id, bytes.fromhex("00000001"), bytes(range(16, 32)))
    assert tek == bytes.fromhex("f120b95160f4af5d5dd6967290296157")
    # The TAK of draft-keoh-tls-multicast-security-00, which dice does not use, differs only in its constant.
    seed = bytes.fromhex("1b5c7973") + mul_id + bytes.fromhex("00000001") + bytes(range(16, 32))
    assert p_sha256(KEY, seed, 16) == bytes.fromhex("55b79ba0ca8dfcfe8bfa3249f01f62a2")


def test_the_key_of_a_sender():
    gid = bytes.fromhex("0a0b0c0d")
    assert sender_key(KEY, gid, 1, 42) == bytes.fromhex("bf81a2cc576ae5ecbb410afcc21d6bf46b449067")
    assert sender_key(KEY, gid, 1, 0) == bytes.fromhex("4d053837d477761477c503a0e95498c77677b88a")
    assert sender_key(KEY, gid, 0x1234, 0xFFFF) == bytes.fromhex("d1712d7455c3b785efaa2703951bdbdaec1a3eac")
