# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The frozen module of the targets: asyncio alone, which MicroPython's ports have everywhere."""

include("$(MPY_DIR)/extmod/asyncio")
