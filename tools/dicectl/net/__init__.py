# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Networks: namespaces, a virtual network and clock, the gateway of a serial bus, the dissection and capture of packets."""
