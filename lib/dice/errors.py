# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Exception classes, and the events that receive() and timeout() return.

An exception has an integer reason, a constant of dice.reasons, and is printed as `E12`; `dicectl doctor E12` explains it. A
received datagram never raises: it is dropped and counted.
"""

from ._compat import const

# Events.
NONE = const(0)  # nothing for the application
DATA = const(1)  # an authentic, fresh message: see .data and .sender
CLASH = const(2)  # another device sends with our SenderID: sending has stopped
EXPIRED = const(3)  # the lifetime of the group's key is over: it has been erased
CONNECTED = const(4)  # the handshake has succeeded
CLOSED = const(5)  # the session has ended: see .error


class DiceError(Exception):
    """The base class. `reason` is an integer of dice.reasons, and str() gives it as "E12"."""

    def __init__(self, reason: int) -> None:
        super().__init__("E%d" % reason)
        self.reason = reason


class UsageError(DiceError):
    """A call or an option that is not possible here."""


class FormatError(DiceError):
    """A GSA or another stored data structure that is malformed; received datagrams do not raise it."""


class StoreError(DiceError):
    """Persistent state cannot be read or written. Nothing is sent, because a sequence number could repeat."""


class LimitError(DiceError):
    """A key that must not be used any more: its lifetime or its records are used up, or another device has our SenderID."""


class PeerError(DiceError):
    """A session or a handshake has failed. `alert` is the alert that was sent or received (RFC 5246, section 7.2), or None."""

    def __init__(self, alert: "int | None", reason: int) -> None:
        super().__init__(reason)
        self.alert = alert
