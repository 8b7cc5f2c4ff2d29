# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The password file of PostgreSQL (.pgpass) that systemd gives a service as a credential.

libpq refuses one that others than its owner can read. A credential is readable by the service alone, but by an access control list,
which looks to libpq as if the file's group could read it.
"""

import os
from pathlib import Path


def prepare():
    """Let libpq take the file that $PGPASSFILE names, if it is a credential: from a copy in memory."""
    path, folder = os.environ.get("PGPASSFILE"), os.environ.get("CREDENTIALS_DIRECTORY")
    if not path or not folder or not Path(path).is_relative_to(folder):
        return
    try:
        contents = Path(path).read_bytes()
        descriptor = os.memfd_create("pgpass")
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, contents)
    except OSError:  # libpq says what is wrong with it
        return
    os.environ["PGPASSFILE"] = f"/proc/self/fd/{descriptor}"
