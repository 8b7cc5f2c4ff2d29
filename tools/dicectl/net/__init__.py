# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Networks: namespaces, a network and a clock that are made up, the gateway of a serial bus, packets in words."""
