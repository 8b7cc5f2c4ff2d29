# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Measurements of dice: time, memory and bytes; budgets for them, and reports."""
