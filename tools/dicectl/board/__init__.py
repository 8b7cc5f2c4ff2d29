# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A board that is connected by a cable: its raw REPL, its files, its boot loader."""
