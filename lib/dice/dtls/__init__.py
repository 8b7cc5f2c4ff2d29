# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""DTLS 1.2, sans-IO: handshakes, the record layer, sessions; imports crypto and what lies beside it, no asyncio, no socket."""
