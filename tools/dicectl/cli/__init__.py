# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The commands, one file each: they read options and print results. Only __main__ imports them, one when it is asked for."""
