# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How a group re-splits the 48-bit sequence number of a record into SenderID and sequence number (row 5).

    "k08"  uint8 SenderID, uint40 sequence   draft-keoh-dice-multicast-security-08, section 4
    "d00"  uint16 SenderID, uint32 sequence  draft-keoh-dtls-multicast-security-00, section 3

A SenderID of 0 makes a record bit-identical to one of unicast DTLS.
"""

from dice._compat import const

K08 = const(1)
D00 = const(2)


def sender_id_max(layout):
    """Return the highest SenderID of a layout."""
    return 0xFF if layout == K08 else 0xFFFF
