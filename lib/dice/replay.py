# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The replay window of RFC 6347, section 4.1.2.6."""

from .limits import WINDOW_BYTES, WINDOW_RECORDS


class Window:
    """Remembers which of the last 64 sequence numbers were seen, in WINDOW_BYTES of a bytearray that others may share.

    `floor` is the lowest sequence number that is still fresh: 0 where nothing was seen, since "nothing yet" is not "0 was seen";
    None where it is not known.
    """

    def __init__(self, floor, bits, at=0):
        self.next = floor  # one above the highest seen
        self.at = at  # where bit n & 63 for the number n of next - 64 .. next - 1 lies, from here on
        self._bits = bits
        bits[at : at + WINDOW_BYTES] = b"\xff" * WINDOW_BYTES

    def is_fresh(self, sequence):
        """Tell whether `sequence` was never seen and is not too old; changes nothing."""
        following = self.next
        if following is None or sequence >= following:
            return True
        return sequence >= following - WINDOW_RECORDS and not self._bits[self.at + (sequence >> 3 & 7)] >> (sequence & 7) & 1

    def see(self, sequence):
        """Note a fresh `sequence` as seen, only ever of a record whose tag verified; return whether `floor` was known."""
        following = self.next
        if following is None or sequence >= following:
            self.next = sequence + 1  # first: whatever comes in between, nothing that was seen becomes fresh
            if following is not None and sequence != following:
                skipped = max(following, sequence - WINDOW_RECORDS)
                while skipped < sequence:
                    self._bits[self.at + (skipped >> 3 & 7)] &= ~(1 << (skipped & 7))
                    skipped += 1
        self._bits[self.at + (sequence >> 3 & 7)] |= 1 << (sequence & 7)
        return following is not None
