# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What a call can tell: exception classes and events (row 0).

An exception carries an integer reason of `reasons`, printed as `E12`; the host has a sentence for each: `dicectl doctor E12`.
Received bytes never raise on the record path: they are dropped and counted.
"""

from ._compat import const

# Events, returned by receive() and timeout().
NONE = const(0)  # nothing for the application
DATA = const(1)  # an authentic, fresh message: see .data and .sender
CLASH = const(2)  # another device sends with our SenderID: sending has stopped
EXPIRED = const(3)  # the group's lifetime is over: its keys are erased
CONNECTED = const(4)  # the handshake has succeeded
CLOSED = const(5)  # the session has ended: see .error


class DiceError(Exception):
    """Base of all; `reason` is one of the table's numbers, and a traceback shows it as "E12"."""

    def __init__(self, reason):
        super().__init__("E%d" % reason)
        self.reason = reason


class UsageError(DiceError):
    """The caller asked for what cannot be done."""


class FormatError(DiceError):
    """A data structure (a GSA, not a datagram) is not what it should be."""


class StoreError(DiceError):
    """Persistent state cannot be read or written: nothing may be sent."""


class LimitError(DiceError):
    """A key has come to its end: nothing may be sent with it any more."""


class PeerError(DiceError):
    """The other side of a session made it end; `alert` is what was said about it (RFC 5246, section 7.2), or None."""

    def __init__(self, alert, reason):
        super().__init__(reason)
        self.alert = alert
