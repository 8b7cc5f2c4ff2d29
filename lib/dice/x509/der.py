# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A reader of DER (X.690) that is as strict as certificates allow: in one pass, without recursion, each byte read once.

A value has a tag of one byte and a length of one to three bytes, the shortest that is possible: no indefinite length, and no value
of more than 65,535 bytes. The reader of a structure calls end(), so that no byte is left unread.
"""

from ..codes import ALERT_DECODE_ERROR, DER_BOOLEAN, DER_INTEGER
from ..errors import PeerError
from ..reasons import E_CERTIFICATE


def require(condition, alert=ALERT_DECODE_ERROR):
    """Raise PeerError with an alert unless the condition is true."""
    if not condition:
        raise PeerError(alert, E_CERTIFICATE)


class Der:
    """Reads the values in `data`, bytes, from `at` to `end`, one after the other. All calls raise PeerError."""

    def __init__(self, data, at, end):
        self._data = data
        self.at = at
        self._end = end

    def tag(self):
        """Return the tag of the next value, which is never 0, or 0 at the end."""
        if self.at == self._end:
            return 0
        require(self._data[self.at])
        return self._data[self.at]

    def take(self, tag):
        """Read the next value, which must have this tag; return a Der of its contents."""
        data = self._data
        at = self.at + 2
        require(at <= self._end and tag == data[at - 2] and tag and tag & 0x1F < 0x1F)
        length = data[at - 1]
        if length > 0x7F:
            width = length - 0x80
            require(0 < width < 3 and at + width <= self._end)
            length = data[at]
            if width > 1:
                length = length << 8 | data[at + 1]
            require(length > (0xFF if width > 1 else 0x7F))
            at += width
        self.at = at + length
        require(self.at <= self._end)
        return Der(data, at, self.at)

    def bytes(self, tag):
        """Read the next value, which must have this tag; return its contents."""
        return self._data[self.take(tag).at : self.at]

    def whole(self, tag):
        """Read the next value, which must have this tag; return it with its tag and length."""
        start = self.at
        self.take(tag)
        return self._data[start : self.at]

    def uint(self):
        """Read an INTEGER that is not negative, in its shortest form; return it."""
        data = self.bytes(DER_INTEGER)
        require(data and data[0] < 0x80 and (data[0] or len(data) == 1 or data[1] > 0x7F))
        return int.from_bytes(data, "big")

    def true(self):
        """Read a BOOLEAN DEFAULT FALSE, of which DER only has TRUE; return whether it is there."""
        if self.tag() != DER_BOOLEAN:
            return False
        require(self.bytes(DER_BOOLEAN) == b"\xff")
        return True

    def end(self):
        """Require that everything has been read."""
        require(self.at == self._end)
