# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Revision 2: a member has the latest epoch whose GSA it may have. Before, that was not written down, so it may be any."""

from alembic import op

revision, down_revision = "2", "1"


def upgrade():
    """Add the column."""
    op.execute("ALTER TABLE member ADD COLUMN offered INTEGER NOT NULL DEFAULT 65535")
