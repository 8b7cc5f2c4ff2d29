# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The traffic encryption key of an epoch: for the keeper of a group, who alone has the master group key (row 5)."""

from dice.crypto.hmac import p_sha256

_TEK_CONSTANT = b"\x2a\xd0\x1c\x64"  # draft-keoh-tls-multicast-security-00, from MIKEY (RFC 3830, section 4.1.4)


def traffic_key(tgk, mul_id, cs_id, rand):
    """Return the 16-byte TEK, the traffic encryption key of one epoch, from the master group key.

    `tgk` has 16 bytes or more, `mul_id` is the 16-byte group address (an IPv4 one mapped into IPv6), `cs_id` has 4 bytes, `rand`
    16. Who knows the TGK can make every TEK: members are given the TEK alone.
    """
    return p_sha256(tgk, _TEK_CONSTANT + mul_id + cs_id + rand, 16)
