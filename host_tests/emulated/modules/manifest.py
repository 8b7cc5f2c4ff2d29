# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What the targets freeze: asyncio alone, which MicroPython's ports have everywhere."""

include("$(MPY_DIR)/extmod/asyncio")
