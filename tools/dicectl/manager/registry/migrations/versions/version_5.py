# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Revision 5: until when a device's certificate is valid, the one that follows it, and when it was revoked."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "5", "4"


def upgrade():
    """Add columns; what certificates of older registries say is not known: those do not expire."""
    whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    time = sa.Double().with_variant(sa.REAL(), "sqlite")
    for column in (
        sa.Column("not_before", whole),
        sa.Column("not_after", whole),
        sa.Column("offered", sa.LargeBinary),
        sa.Column("revoked_at", time),
    ):
        op.add_column("public_key", column)
