# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The reason of an exception, printed as `E12`. No board carries this module: compiling folds it away.

A number once given keeps its meaning, and a range belongs to one class of `errors`. The host has a sentence for each:
`dicectl doctor E12`.
"""

from ._compat import const

# UsageError: 10 to 19, 70 to 79.
E_TOO_LONG = const(10)
E_NOT_A_SENDER = const(11)
E_NOT_BYTES = const(12)
E_NOT_SENT = const(13)
E_OTHER_GROUP = const(14)
E_NO_NEXT_EPOCH = const(15)
E_OLD_EPOCH = const(16)
E_CLOSED = const(17)
E_OPTION = const(18)
E_NOT_CONNECTED = const(19)
E_ANSWERED = const(70)
E_NO_LISTENER_ID = const(71)
E_QUEUE = const(72)
E_NO_ID = const(73)
E_HOST = const(74)

# FormatError: 20 to 29, 80 to 89.
E_TRUNCATED = const(20)
E_TRAILING = const(21)
E_DAMAGED = const(22)
E_VERSION = const(23)
E_VALUE = const(24)
E_SENDER_ID = const(25)
E_EPOCH = const(26)
E_BUDGET = const(27)
E_ADDRESS = const(28)
E_REPEATED = const(29)
E_COAP = const(80)

# StoreError: 30 to 39.
E_STORE_WRITE = const(30)
E_STORE_READ = const(31)
E_STORE_DAMAGED = const(32)
E_COUNTER_LOST = const(33)
E_STORE_SHARED = const(34)
E_STALE = const(35)

# LimitError: 40 to 49.
E_SPENT = const(40)
E_EXPIRED = const(41)
E_CLASH = const(42)

# PeerError: 50 to 69.
E_ALERT = const(50)
E_NO_ANSWER = const(51)
E_UNEXPECTED = const(52)
E_STALLED = const(53)
E_NO_SUITE = const(54)
E_PEER_VERSION = const(55)
E_ILLEGAL = const(56)
E_FINISHED = const(57)
E_EXTENSION = const(58)
E_NO_PROTOCOL = const(59)
E_MEMORY = const(60)
E_REFUSED = const(61)
E_BLOCKS = const(62)
E_REPLACED = const(63)
E_EVICTED = const(64)
E_LONG_MESSAGE = const(65)
E_KEY = const(66)
E_CERTIFICATE = const(67)
E_SIGNATURE = const(68)
E_CURVE = const(69)
