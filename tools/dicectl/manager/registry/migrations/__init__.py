# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Alembic migrations of a registry: upgrade() takes over the tables of older programs. Imported only if there is something to do.

Each file in versions/ is one revision, and describes its tables itself, since those of schema.py are the newest ones.
"""

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory


def _config(connection=None):
    config = Config()
    config.set_main_option("script_location", "dicectl.manager.registry:migrations")
    config.attributes["connection"] = connection
    return config


def known(revision):
    """Return whether a revision is one of versions/: if not, a newer program wrote it."""
    return revision in {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def upgrade(connection, revision, target="head"):
    """Migrate tables of `revision` in the transaction of `connection`; `revision` is set first where no program stored it."""
    config = _config(connection)
    if revision is not None:
        command.stamp(config, revision)
    command.upgrade(config, target)
