# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every bound, with its unit in its name (row 0)."""

from dice._compat import const

DATAGRAM_MAX_BYTES = const(1232)  # what IPv6's minimum MTU of 1280 leaves after IPv6 and UDP headers
RECORD_OVERHEAD_MAX_BYTES = const(37)  # header 13, explicit nonce 8, a tag of 16
SENDERS_MAX = const(50)  # of one group (draft-keoh-dice-multicast-security-08, section 2.2)
WINDOW_RECORDS = const(64)  # replay window (RFC 6347, section 4.1.2.6)
KEY_RECORDS_MAX = const(1 << 23)  # sealed with one key, summed over all who use it (RFC 9147, section 4.5.3)
RESERVE_RECORDS = const(64)  # sequence numbers reserved by one write to the store
GRACE_MS = const(60_000)  # how long the old epoch is still read after a re-key
LIFETIME_UNIT_MAX_S = const(3600)  # of lifetime, accounted for by one write to the store
MESSAGES_MAX = const(8)  # received and not yet taken by the application
