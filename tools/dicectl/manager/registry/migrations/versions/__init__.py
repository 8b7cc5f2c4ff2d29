# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The revisions: 1 and 2 are files of SQLite with that user_version, 3 is the first that PostgreSQL has, too."""
