# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The bytes of a handshake with raw public keys, and how few they could be; `python -m host_tests.handshake_bytes` prints them."""

from collections import Counter

from host_tests.handshake_bytes import flights, rows

# A signature has 68 to 72 bytes, nearly always 70 to 72. All sums are with 71.
SIGNATURE = 75
GOAL = 1050


def table(cached=False):
    """Return {(datagram, message, field): bytes}, with a signature of 71 bytes."""
    found = {}
    sent = flights(cached)
    assert sum(size for *_, size in rows(sent)) == sum(len(datagram) for _, datagram in sent) and len(sent) == 6
    for number, _, message, field, size in rows(sent):
        assert (number, message, field) not in found
        found[number, message, field] = SIGNATURE if field == "algorithm, signature" else size
    return found


def test_a_handshake_has_these_bytes():
    fields = table()
    assert sum(fields.values()) == 1161
    datagrams = Counter()
    for (number, _, _), size in fields.items():
        datagrams[number] += size
    assert list(datagrams.values()) == [116, 36, 124, 441, 377, 67]


def test_a_cached_key_makes_it_shorter():
    """40 bytes in the hello with the cookie and 7 in that of the server, for 61 of 94."""
    fields, cached = table(), table(True)
    assert sum(cached.values()) == 1161 + 40 + 7 - 61 == 1147
    assert {place: size for place, size in cached.items() if place not in fields} == {
        (3, "ClientHello", "cached_info"): 40,
        (4, "ServerHello", "cached_info"): 7,
        (4, "Certificate", "fingerprint"): 33,
    }


def test_what_would_have_to_go_for_1050_bytes():
    """docs/decisions.md says why it stays. With one message in a record, leaving out all that a peer could miss is not enough."""
    fields = table()
    total = sum(fields.values())

    def of(numbers, *names):
        return sum(size for (number, _, field), size in fields.items() if number in numbers and field in names)

    first = of({1}, *EXTENSIONS, "length of extensions")  # of a client that knows that a cookie will be asked for
    optional = of({3, 4}, "max_fragment_length", "ec_point_formats", "renegotiation_info")
    suites = 2 * (2 + 2)  # in each hello the second suite, and the one that stands for renegotiation_info
    cookies = 2 * (8 - 1)
    assert (first, optional, suites, cookies) == (45, 27, 8, 14)
    assert total - first - optional - suites - cookies == 1067 > GOAL
    # Several messages in a record: one for the five of flight 4, one for the three before ChangeCipherSpec in flight 5.
    packed = of({4, 5}, "record header") - 13 * (1 + 3)
    assert packed == 78 and total - packed == 1083 > GOAL
    assert total - packed - of({1, 3, 4}, "max_fragment_length", "ec_point_formats") == 1050


EXTENSIONS = {
    "extended_master_secret",
    "max_fragment_length",
    "supported_groups",
    "ec_point_formats",
    "signature_algorithms",
    "server_certificate_type",
    "client_certificate_type",
}
