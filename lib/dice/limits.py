# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every bound, with its unit in its name (row 0)."""

from ._compat import const

DATAGRAM_MAX_BYTES = const(1232)  # what IPv6's minimum MTU of 1280 leaves after IPv6 and UDP headers
RECORD_OVERHEAD_MAX_BYTES = const(37)  # header 13, explicit nonce 8, a tag of 16
SENDERS_MAX = const(50)  # of one group (draft-keoh-dice-multicast-security-08, section 2.2)
WINDOW_RECORDS = const(64)  # replay window (RFC 6347, section 4.1.2.6)
KEY_RECORDS_MAX = const(1 << 23)  # sealed with one key, summed over all who use it (RFC 9147, section 4.5.3)
RESERVE_RECORDS = const(64)  # sequence numbers reserved by one write to the store
GRACE_MS = const(60_000)  # how long the old epoch is still read after a re-key
LIFETIME_UNIT_MAX_S = const(3600)  # of lifetime, accounted for by one write to the store
MESSAGES_MAX = const(8)  # received and not yet taken by the application

# Of a DTLS session.
RECORD_PLAINTEXT_MAX_BYTES = const(1152)  # of what fits DATAGRAM_MAX_BYTES with a tag of 16 and the longest CID
CID_MAX_BYTES = const(8)  # of our own connection ids
MTU_MIN_BYTES = const(128)  # the smallest datagrams that a handshake is cut to
HANDSHAKE_BYTES_MAX = const(1024)  # of messages that are being put together from fragments
EARLY_MESSAGES_MAX = const(4)  # messages held, with the one that is due
RANGES_MAX = const(8)  # stretches of one message that wait for what is between them
EARLY_RECORDS_MAX = const(2)  # protected records held that came before their keys or before Finished
RETRANSMISSIONS_MAX = const(10)  # of one flight
TIMER_MS = const(9_000)  # before the first retransmission (RFC 7925, section 11)
TIMER_MAX_MS = const(60_000)  # before a later one
ALERT_WAIT_MS = const(1_000)  # before an alert in plaintext, which anybody may have sent, is believed
LAST_FLIGHT_MS = const(543_000)  # how long the last flight can be sent again: for all retransmissions of its peer, from 9 s on
PSK_IDENTITY_MAX_BYTES = const(128)  # RFC 7925, section 4.2
PSK_MAX_BYTES = const(64)
HALF_OPEN_MAX = const(4)  # handshakes that a server has under way
HALF_OPEN_MS = const(303_000)  # how long one of them may take: as long as the retransmissions of one flight from 1 s on
HALF_OPEN_SAFE_MS = const(20_000)  # how long none is pushed out: time to send a flight again after 9 s
COOKIE_PERIOD_MS = const(60_000)  # how long a cookie secret is in use; it is known for as long again
TICKET_PERIOD_MS = const(86_400_000)  # how long a ticket secret is in use; it is known for as long again
