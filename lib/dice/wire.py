# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Reader and Writer: the only code that decodes or encodes data structures.

All integers are big-endian (RFC 5246, section 4).
"""

from .errors import FormatError
from .reasons import E_TRAILING, E_TRUNCATED


class Reader:
    """Reads `data` from its start; past its end raises FormatError."""

    def __init__(self, data):
        self._data = memoryview(data)
        self._at = 0

    def take(self, count):
        """Return the next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            raise FormatError(E_TRUNCATED)
        part = bytes(self._data[self._at : end])
        self._at = end
        return part

    def uint(self, width):
        """Return the next `width` bytes as an unsigned integer."""
        return int.from_bytes(self.take(width), "big")

    def vector(self, width):
        """Return a byte string preceded by its length in `width` bytes."""
        return self.take(self.uint(width))

    def more(self):
        """Return whether anything is left."""
        return self._at < len(self._data)

    def end(self):
        """Raise FormatError unless everything was read."""
        if self._at != len(self._data):
            raise FormatError(E_TRAILING)


class Writer:
    """Collects into `data`, a bytearray."""

    def __init__(self):
        self.data = bytearray()

    def put(self, part):
        """Append bytes."""
        self.data.extend(part)

    def uint(self, value, width):
        """Append an unsigned integer of `width` bytes."""
        self.data.extend(value.to_bytes(width, "big"))

    def vector(self, part, width):
        """Append a byte string preceded by its length in `width` bytes."""
        self.uint(len(part), width)
        self.data.extend(part)
