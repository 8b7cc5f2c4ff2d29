# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""`if TYPING:` guards imports for type checkers. It is folded away when a module is compiled, and no annotation is evaluated."""

from ._compat import const

TYPING = const(0)
