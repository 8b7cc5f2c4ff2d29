# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""What goes onto a board: boards, profiles, the build and its compilers."""
