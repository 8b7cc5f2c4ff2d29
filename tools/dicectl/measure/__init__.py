# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What dice costs: time, memory and bytes, and what is written of them."""
