# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Revision 4: the public keys of devices, and the private keys of the manager itself."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "4", "3"


def upgrade():
    """Create the two tables."""
    op.create_table(
        "public_key",
        sa.Column("identity", sa.LargeBinary, sa.ForeignKey("device.identity"), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("name", sa.Text, unique=True),
        sa.Column("issuer", sa.LargeBinary),
        sa.Column("is_wanted", sa.Boolean, nullable=False),
        sa.Column("following", sa.LargeBinary, unique=True),
    )
    op.create_table("own_key", sa.Column("name", sa.Text, primary_key=True), sa.Column("private", sa.LargeBinary, nullable=False))
