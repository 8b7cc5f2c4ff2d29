# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Freezes asyncio and _boot.py."""

include("$(MPY_DIR)/extmod/asyncio")
freeze(".", "_boot.py")
