# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The replay window of RFC 6347, section 4.1.2.6 (row 1)."""

from dice._compat import const

_WINDOW_RECORDS = const(64)


class Window:
    """Remembers which of the last 64 sequence numbers were seen.

    `floor` is the lowest sequence number that is still fresh: 0 where nothing was seen, since "nothing yet" is not "0 was seen";
    None where it is not known.
    """

    def __init__(self, floor):
        self.next = floor  # one above the highest seen
        self._seen = bytearray(b"\xff" * (_WINDOW_RECORDS >> 3))  # bit n & 63 for the number n of next - 64 .. next - 1

    def is_fresh(self, sequence):
        """Tell whether `sequence` was never seen and is not too old; changes nothing."""
        if self.next is None or sequence >= self.next:
            return True
        return sequence >= self.next - _WINDOW_RECORDS and not self._seen[sequence >> 3 & 7] >> (sequence & 7) & 1

    def see(self, sequence):
        """Note a fresh `sequence` as seen: only ever called for a record whose tag verified."""
        following = self.next
        skipped = sequence
        if following is None or sequence >= following:
            self.next = sequence + 1  # first: whatever comes in between, nothing that was seen becomes fresh
            if following is not None and sequence != following:
                skipped = max(following, sequence - _WINDOW_RECORDS)
        while skipped < sequence:
            self._seen[skipped >> 3 & 7] &= ~(1 << (skipped & 7))
            skipped += 1
        self._seen[sequence >> 3 & 7] |= 1 << (sequence & 7)
