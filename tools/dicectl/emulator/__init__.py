# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Boards without hardware: an emulator of the RP2040 that runs real firmware."""
