# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The registry: the durable state of a group manager. `base` is the interface, the other modules are implementations of it."""
