# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The reason codes by name, for tests that also run on a board; host_tests/meta/test_reasons.py holds them to the table."""

# UsageError
E_TOO_LONG = 10
E_NOT_A_SENDER = 11
E_NOT_BYTES = 12
E_NOT_SENT = 13
E_OTHER_GROUP = 14
E_NO_NEXT_EPOCH = 15
E_OLD_EPOCH = 16
E_CLOSED = 17
E_OPTION = 18
E_NOT_CONNECTED = 19

# FormatError
E_TRUNCATED = 20
E_TRAILING = 21
E_DAMAGED = 22
E_VERSION = 23
E_VALUE = 24
E_SENDER_ID = 25
E_EPOCH = 26
E_BUDGET = 27
E_ADDRESS = 28
E_REPEATED = 29

# StoreError
E_STORE_WRITE = 30
E_STORE_READ = 31
E_STORE_DAMAGED = 32
E_COUNTER_LOST = 33
E_STORE_SHARED = 34
E_STALE = 35

# LimitError
E_SPENT = 40
E_EXPIRED = 41
E_CLASH = 42

# PeerError
E_ALERT = 50
E_NO_ANSWER = 51
E_UNEXPECTED = 52
E_NO_SUITE = 54
E_PEER_VERSION = 55
E_ILLEGAL = 56
E_FINISHED = 57
E_EXTENSION = 58
E_NO_PROTOCOL = 59
