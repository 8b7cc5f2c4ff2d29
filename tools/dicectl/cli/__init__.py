# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The commands, a file each: options in, sentences out. Nobody imports them but __main__."""
