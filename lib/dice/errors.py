# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What a call can tell: exception classes, reason codes and events (row 0).

An exception carries an integer reason, printed as `E12`; the sentences live on the host: `dicectl doctor E12`.
Received bytes never raise on the record path: they are dropped and counted.
"""

from dice._compat import const

# Events, returned by receive() and timeout().
NONE = const(0)  # nothing for the application
DATA = const(1)  # an authentic, fresh message: see .data and .sender
CLASH = const(2)  # another device sends with our SenderID: sending has stopped
EXPIRED = const(3)  # the group's lifetime is over: its keys are erased

# Reasons of UsageError.
E_TOO_LONG = const(10)
E_NOT_A_SENDER = const(11)
E_NOT_BYTES = const(12)
E_NOT_SENT = const(13)
E_OTHER_GROUP = const(14)
E_NO_NEXT_EPOCH = const(15)
E_OLD_EPOCH = const(16)
E_CLOSED = const(17)
E_OPTION = const(18)

# Reasons of FormatError.
E_TRUNCATED = const(20)
E_TRAILING = const(21)
E_DAMAGED = const(22)
E_VERSION = const(23)
E_VALUE = const(24)
E_SENDER_ID = const(25)
E_EPOCH = const(26)
E_BUDGET = const(27)
E_ADDRESS = const(28)

# Reasons of StoreError.
E_STORE_WRITE = const(30)
E_STORE_READ = const(31)
E_STORE_DAMAGED = const(32)
E_COUNTER_LOST = const(33)
E_STORE_SHARED = const(34)

# Reasons of LimitError.
E_SPENT = const(40)
E_EXPIRED = const(41)
E_CLASH = const(42)


class DiceError(Exception):
    """Base of all; `reason` is one of the E_ codes, and a traceback shows it as "E12"."""

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
