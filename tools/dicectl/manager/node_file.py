# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The configuration of a provisioned node: a file in its folder or on its board, which `dicectl provision` writes."""

FILE = "node.json"
