# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""This computer as a member of managed groups: for a moment, or resident with a socket for programs."""
