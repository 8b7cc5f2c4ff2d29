# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Revision 1: SQLite's files with user_version 1. They exist; nobody creates new ones."""

revision, down_revision = "1", None


def upgrade():
    """There was nothing before."""
