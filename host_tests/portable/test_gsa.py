# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The encoding of a GSA: round trips, a fixed vector, and a reason for every error."""

from support import make_gsa, raises

from dice.crypto import sha256
from dice.errors import FormatError
from dice.group.gsa import D00, DERIVE_SENDER, DERIVE_SHARED, K08, UNKNOWN, decode
from dice.group.gsa_encode import encode
from dice.reasons import E_ADDRESS, E_BUDGET, E_DAMAGED, E_EPOCH, E_SENDER_ID, E_TRAILING, E_TRUNCATED, E_VALUE, E_VERSION
from dice.suites import PSK_AES_128_CCM, PSK_AES_128_CCM_8

FIELDS = [
    "gid",
    "address",
    "port",
    "suite",
    "layout",
    "derive",
    "epoch",
    "key",
    "own_id",
    "own_next",
    "lifetime_s",
    "budget",
    "senders",
    "fresh",
]
GROUP6 = bytes.fromhex("ff150000000000000000000000000abc")
VECTOR = (
    "0103"  # version, fresh and has_own
    "01020304ef01020316 34c0a80101 0001".replace(" ", "")  # gid, address, port, suite, layout, derive, epoch
    + "10000102030405060708090a0b0c0d0e0f"  # key
    "00020001000000000007"  # own_id, own_next
    "00015180000003e8"  # lifetime_s, budget
    "030001000100000000000500020001000000000007"  # count, senders
    "0003ffffffffffffffff"
)


def changed_vector():
    return make_gsa(own_id=2, own_next=1 << 48 | 7, lifetime_s=86400, senders=[(1, 1 << 48 | 5), (2, 1 << 48 | 7), (3, UNKNOWN)])


def checksum_of(body):
    digest = sha256()
    digest.update(body)
    return digest.digest()[:4]


def patched(offset, part):
    """Return an encoding with `part` at `offset` and a correct checksum."""
    body = encode(make_gsa(own_id=2))[:-4]
    body[offset : offset + len(part)] = part
    return body + checksum_of(body)


def refused(reason, **changes):
    raises(FormatError, reason, lambda: encode(make_gsa(**changes)))


def test_a_fixed_gsa_encodes_to_the_documented_bytes():
    body = bytes.fromhex(VECTOR)
    assert encode(changed_vector()) == body + bytes.fromhex("e85ee3cc")
    assert checksum_of(body) == bytes.fromhex("e85ee3cc")
    gsa = decode(body + checksum_of(body))
    assert gsa.own_id == 2
    assert gsa.own_next == 1 << 48 | 7
    assert gsa.senders == [(1, 1 << 48 | 5), (2, 1 << 48 | 7), (3, UNKNOWN)]


def test_every_combination_round_trips():
    count = 0
    for suite in (PSK_AES_128_CCM_8, PSK_AES_128_CCM):
        for layout in (K08, D00):
            for derive in (DERIVE_SENDER, DERIVE_SHARED):
                for own_id in (None, 0, 255):
                    for fresh in (True, False):
                        senders = [(255, UNKNOWN), (0, 9 << 48 | 77)]
                        gsa = make_gsa(
                            suite=suite, layout=layout, derive=derive, own_id=own_id, fresh=fresh, senders=senders, epoch=9
                        )
                        again = decode(encode(gsa))
                        for name in FIELDS:
                            assert getattr(again, name) == getattr(gsa, name), name
                        assert type(again.key) is bytearray
                        count += 1
    assert count == 48


def test_values_at_their_bounds_round_trip():
    senders = [(65535 - i, UNKNOWN) for i in range(50)]
    values = {"epoch": 0xFFFF, "port": 0xFFFF, "lifetime_s": (1 << 32) - 1, "budget": 1 << 23, "own_next": (1 << 64) - 1}
    gsa = make_gsa(layout=D00, senders=senders, own_id=65535, **values)
    again = decode(bytes(encode(gsa)))
    for name in FIELDS:
        assert getattr(again, name) == getattr(gsa, name), name
    assert len(encode(gsa)) == 58 + 500


def test_every_flipped_bit_is_detected():
    data = encode(changed_vector())
    for at in range(8 * len(data)):
        data[at // 8] ^= 1 << at % 8
        raises(FormatError, E_VERSION if at < 8 else E_DAMAGED, decode, data)
        data[at // 8] ^= 1 << at % 8
    decode(data)


def test_truncated_encodings_are_refused():
    data = encode(changed_vector())
    for length in range(5):
        raises(FormatError, E_TRUNCATED, decode, data[:length])
    for length in range(5, len(data)):
        raises(FormatError, E_DAMAGED, decode, data[:length])
    for length in range(1, len(data) - 4):
        raises(FormatError, E_TRUNCATED, decode, data[:length] + checksum_of(data[:length]))


def test_trailing_bytes_are_refused():
    body = encode(changed_vector())[:-4] + b"\0"
    raises(FormatError, E_TRAILING, decode, body + checksum_of(body))


def test_unknown_versions_are_refused():
    for version in (0, 3, 4, 255):
        raises(FormatError, E_VERSION, decode, patched(0, bytes((version,))))


def test_the_version_is_the_length_of_the_address():
    for address, version in ((bytes((224, 0, 0, 1)), 1), (GROUP6, 2)):
        data = encode(make_gsa(address=address, own_id=2))
        assert data[0] == version
        assert decode(data).address == address
    assert len(encode(make_gsa(address=GROUP6))) == 12 + len(encode(make_gsa()))
    for length in (0, 3, 5, 15, 17):
        try:
            encode(make_gsa(address=bytes((239,)) * length))
        except FormatError:
            continue
        raise AssertionError(length)
    # read as the other version, an encoding is refused: its fields are elsewhere
    for address, other in ((bytes((239, 1, 2, 3)), b"\2"), (GROUP6, b"\1")):
        body = encode(make_gsa(address=address))[:-4]
        body[0:1] = other
        try:
            decode(body + checksum_of(body))
        except FormatError:
            continue
        raise AssertionError(other)


def test_truncated_encodings_with_an_ipv6_address_are_refused():
    body = encode(make_gsa(address=GROUP6))[:-4]
    for length in range(1, len(body)):
        raises(FormatError, E_TRUNCATED, decode, body[:length] + checksum_of(body[:length]))
    raises(FormatError, E_TRAILING, decode, body + b"\0" + checksum_of(body + b"\0"))
    longest = make_gsa(address=GROUP6, derive=DERIVE_SHARED, senders=[(i, 0) for i in range(50)])
    assert decode(encode(longest)).senders == longest.senders


def test_unknown_values_are_refused():
    raises(FormatError, E_VALUE, decode, patched(1, b"\x04"))
    raises(FormatError, E_VALUE, decode, patched(1, b"\x83"))
    # Another key exchange may have brought its own code points for the ciphers of C0A4 and C0A8; nobody has those of AES-256.
    for suite in (b"\0\0", b"\xc0\xa5", b"\xc0\xae", b"\x13\x04"):
        raises(FormatError, E_VALUE, decode, patched(12, suite))
    for layout in (b"\0", b"\3"):
        raises(FormatError, E_VALUE, decode, patched(14, layout))
    for derive in (b"\0", b"\3"):
        raises(FormatError, E_VALUE, decode, patched(15, derive))


def test_keys_of_the_wrong_length_are_refused():
    for derive, right in ((DERIVE_SENDER, 16), (DERIVE_SHARED, 20)):
        for length in (0, 15, 16, 17, 19, 20, 21, 255):
            if length != right:
                refused(E_VALUE, derive=derive, key=bytearray(length))


def test_addresses_that_are_not_multicast_are_refused():
    for first in (0, 192, 223, 240, 255):
        refused(E_ADDRESS, address=bytes((first, 0, 0, 1)))
    for first in (0, 0x20, 0xEF, 0xFD, 0xFE):  # 0: IPv4 mapped into IPv6 is no second encoding of an IPv4 group
        refused(E_ADDRESS, address=bytes((first,)) + GROUP6[1:])
    refused(E_ADDRESS, port=0)
    raises(FormatError, E_ADDRESS, decode, patched(6, b"\x7f"))
    raises(FormatError, E_ADDRESS, decode, patched(10, b"\0\0"))


def test_epochs_out_of_range_are_refused():
    refused(E_EPOCH, epoch=0)
    refused(E_EPOCH, epoch=0x10000)
    refused(E_EPOCH, own_id=1, own_next=2 << 48)
    refused(E_EPOCH, senders=[(1, 2 << 48)])
    encode(make_gsa(own_id=1, own_next=(2 << 48) - 1, senders=[(1, (2 << 48) - 1)]))
    raises(FormatError, E_EPOCH, decode, patched(16, b"\0\0"))


def test_a_listener_has_no_sequence_numbers_of_its_own():
    refused(E_VALUE, own_next=1 << 48)
    listener = encode(make_gsa(senders=[(1, 0), (2, 0)]))
    listener[35 + 1] = 1  # own_id set, has_own not set
    digest = sha256()
    digest.update(listener[:-4])
    raises(FormatError, E_VALUE, decode, listener[:-4] + digest.digest()[:4])


def test_sender_ids_that_are_missing_repeated_or_out_of_range_are_refused():
    refused(E_SENDER_ID, senders=[(1, 0), (2, 0), (1, 0)])
    refused(E_SENDER_ID, senders=[(i, 0) for i in range(51)])
    refused(E_SENDER_ID, senders=[(-1, 0)])
    refused(E_SENDER_ID, own_id=256)
    refused(E_SENDER_ID, own_id=4, own_next=1)
    raises(FormatError, E_SENDER_ID, decode, patched(35, b"\1\4"))
    raises(FormatError, E_SENDER_ID, decode, patched(54, b"\1\1"))


def test_a_group_whose_last_sender_was_expelled_has_no_senders():
    """F2: its other members need the epoch that shuts the last one out."""
    for changes in ({}, {"own_id": 7}, {"derive": DERIVE_SHARED}):
        gsa = make_gsa(senders=[], **changes)
        assert decode(encode(gsa)).__dict__ == gsa.__dict__
    refused(E_SENDER_ID, senders=[], own_id=7, own_next=1 << 48)


def test_budgets_above_the_limit_of_a_key_are_refused():
    refused(E_BUDGET, budget=0)
    refused(E_BUDGET, budget=(1 << 23) + 1)
    encode(make_gsa(budget=1 << 23))
    two = [(1, 0), (2, 0)]
    refused(E_BUDGET, budget=(1 << 22) + 1, derive=DERIVE_SHARED, senders=two)
    encode(make_gsa(budget=1 << 22, derive=DERIVE_SHARED, senders=two))
