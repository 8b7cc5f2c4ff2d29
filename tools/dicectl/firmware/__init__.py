# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Firmware: the boards, the profiles of dice, the build and its compilers."""
