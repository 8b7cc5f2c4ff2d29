# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Transports, objects that carry datagrams: the only code that touches sockets, serial lines and radios."""
