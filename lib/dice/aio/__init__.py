# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""All that imports asyncio: the endpoints of groups, sessions and CoAP, and what runs on top of them."""
