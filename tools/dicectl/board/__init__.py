# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A board on a cable: its raw REPL, its files, its boot loader."""
