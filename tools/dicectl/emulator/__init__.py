# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Boards without hardware: RP2040s that run real firmware in an emulator."""
