# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The replay window of RFC 6347, section 4.1.2.6."""

from .limits import WINDOW_BYTES, WINDOW_RECORDS


class Window:
    """Remembers which of the last 64 sequence numbers were seen, in WINDOW_BYTES of a bytearray that others may share.

    `floor` is the lowest sequence number that is still fresh: 0 if none was seen ("none yet" is not "0 was seen"); None if it is
    not known.
    """

    def __init__(self, floor, bits, at=0):
        self.next = floor  # one above the highest seen
        self.at = at  # offset of the window; bit n & 63 in it is that of number n, from next - 64 to next - 1
        self._bits = bits
        bits[at : at + WINDOW_BYTES] = b"\xff" * WINDOW_BYTES

    def is_fresh(self, sequence):
        """Return whether `sequence` was never seen and is not older than the window; changes nothing."""
        next_sequence = self.next
        if next_sequence is None or sequence >= next_sequence:
            return True
        return sequence >= next_sequence - WINDOW_RECORDS and not self._bits[self.at + (sequence >> 3 & 7)] >> (sequence & 7) & 1

    def see(self, sequence):
        """Note a fresh `sequence` as seen, only of a record whose tag has verified; return whether `floor` was known."""
        next_sequence = self.next
        if next_sequence is None or sequence >= next_sequence:
            self.next = sequence + 1  # first: if the rest is interrupted, nothing that was seen becomes fresh
            if next_sequence is not None and sequence != next_sequence:
                skipped = max(next_sequence, sequence - WINDOW_RECORDS)
                while skipped < sequence:
                    self._bits[self.at + (skipped >> 3 & 7)] &= ~(1 << (skipped & 7))
                    skipped += 1
        self._bits[self.at + (sequence >> 3 & 7)] |= 1 << (sequence & 7)
        return next_sequence is not None
