# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Records compared with the vectors of docs/protocol.md, which an independent AES-CCM computed.

Key 000102..0f, salt a0a1a2a3, epoch 1, sequence number 5, type 23, plaintext "123456".
"""

from support import make_member

from dice import record
from dice.dtls.record_layer import open_cid, seal_cid
from dice.errors import DATA
from dice.group.gsa import D00, DERIVE_SHARED, K08, UNKNOWN
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8, SUITES

KEY = bytes(range(16))
SALT = bytes.fromhex("a0a1a2a3")
TEXT = b"123456"

UNICAST = bytes.fromhex("17fefd0001000000000005001600010000000000051dcf3d039a90f81bbb35897b5ae3")
D00_002A = bytes.fromhex("17fefd0001002a0000000500160001002a00000005900a1934a352074cb13d7be70582")
K08_2A = bytes.fromhex("17fefd00012a0000000005001600012a0000000005a4148b2e8acdef64e7fa8c1b982e")
CID_42 = bytes.fromhex("19fefd000100000000000542001700010000000000051dcf3d039a90d32d91488d4a59c672")
# The unicast record with a tag of 16 bytes, computed with AESCCM of the `cryptography` package.
UNICAST_16 = bytes.fromhex("17fefd0001000000000005001e00010000000000051dcf3d039a90ecaf07a961b34fc7ba8af1969bc2949b")


def check(expected, sequence, code=PSK_AES_128_CCM_8):
    """Assert that the record layer seals and opens a vector."""
    cipher = SUITES[code].cipher
    assert record.seal(cipher, KEY, SALT, 23, 1, sequence, TEXT) == expected
    assert record.well_formed(expected)
    assert record.open(cipher, KEY, SALT, expected) == TEXT


def test_a_unicast_record():
    check(UNICAST, 5)


def test_a_unicast_record_with_a_tag_of_16_bytes():
    check(UNICAST_16, 5, PSK_AES_128_CCM)


def test_a_group_record_of_layout_d00():
    check(D00_002A, 0x002A_0000_0005)


def test_a_group_record_of_layout_k08():
    check(K08_2A, 0x2A_00_0000_0005)


def test_a_record_with_a_connection_id():
    assert seal_cid(SUITES[PSK_AES_128_CCM_8].cipher, KEY, SALT, 23, 1, 5, TEXT, b"\x42") == CID_42
    assert open_cid(SUITES[PSK_AES_128_CCM_8].cipher, KEY, SALT, CID_42, 1) == (23, TEXT)


def check_member(layout, sender_id, expected):
    """Assert that members of a group seal and open a vector."""
    first = 1 << 48 | 5
    changes = {"layout": layout, "derive": DERIVE_SHARED, "key": bytearray(KEY + SALT), "senders": [(sender_id, UNKNOWN)]}
    sender = make_member(sender_id, own_next=first, **changes)
    sender.send(TEXT, 0)
    assert sender.transmit() == expected
    changes["senders"] = [(sender_id, first)]
    listener = make_member(**changes)
    assert listener.receive(expected, 0) == DATA
    assert (listener.sender, listener.data) == (sender_id, TEXT)


def test_members_with_layout_d00():
    check_member(D00, 0x2A, D00_002A)


def test_members_with_layout_k08():
    check_member(K08, 0x2A, K08_2A)


def test_sender_id_0_gives_the_unicast_record():
    check_member(K08, 0, UNICAST)
    check_member(D00, 0, UNICAST)
