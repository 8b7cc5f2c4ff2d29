# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The numbers of CoAP that programs need: types, codes, options (RFC 7252, section 12).

They are names of the package dice, too: `dice.GET`. Modules of dice do not load this one, because compiling folds constants.
"""

from .._compat import const

# Types (section 3) and codes (section 12.1): class in the high three bits.
CON = const(0)
NON = const(1)
ACK = const(2)
RST = const(3)

GET = const(1)
POST = const(2)
PUT = const(3)
DELETE = const(4)
CREATED = const(0x41)  # 2.01
DELETED = const(0x42)  # 2.02
CHANGED = const(0x44)  # 2.04
CONTENT = const(0x45)  # 2.05
BAD_REQUEST = const(0x80)  # 4.00
FORBIDDEN = const(0x83)  # 4.03
NOT_FOUND = const(0x84)  # 4.04
METHOD_NOT_ALLOWED = const(0x85)  # 4.05
CONFLICT = const(0x89)  # 4.09 (RFC 8132)
SERVICE_UNAVAILABLE = const(0xA3)  # 5.03

# Options (section 12.2, RFC 7641, RFC 7959); odd ones are critical.
ETAG = const(4)
OBSERVE = const(6)
URI_PATH = const(11)
CONTENT_FORMAT = const(12)
URI_QUERY = const(15)
BLOCK2 = const(23)
BLOCK1 = const(27)
