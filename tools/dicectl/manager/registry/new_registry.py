# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""New registries, only if somebody wants one: a manager on an empty file in the wrong place would know no device."""

import os

from dicectl.errors import USAGE, CommandError
from dicectl.manager.registry import own_keys
from dicectl.manager.registry.base import RegistryError
from dicectl.manager.registry.opening import is_database, open_registry, read_audit


def why_empty(path):
    """Return why the file `path` is a registry without contents, as the rest of a sentence; "" if it has some, or is none."""
    if not os.path.exists(path):
        return "does not exist"
    if not os.path.getsize(path):
        return "is an empty file"
    try:
        return "" if read_audit(path, 0, 1) else "has no device, no group and no entry in its audit log"
    except CommandError:  # opening it tells what is wrong
        return ""


def create(path, key=None):
    """Create a registry, with an entry in its audit log so that it is not empty, and the manager's own key pair.

    Raises CommandError if there is one, or if the disk is full; then there is no new file.
    """
    if not why_empty(path):
        raise CommandError(f"{path} already exists: choose another name", USAGE)
    new = not is_database(path) and not os.path.exists(path)
    registry = open_registry(path, key=key)
    try:
        registry.log("created")
        own_keys.private(registry)
    except RegistryError as error:
        from dicectl.manager.registry import sqlite

        if new:
            sqlite.discard(path)
        if sqlite.is_full(error):
            raise sqlite.disk_full(path)
        raise CommandError(f"cannot write {path}: {error}")
    finally:
        registry.close()
