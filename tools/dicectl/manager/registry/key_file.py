# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The key file of an encrypted registry: 32 random bytes, readable by its owner only, or a credential of systemd."""

import os
import secrets
from pathlib import Path

from dicectl import private_file
from dicectl.errors import USAGE, CommandError

CREDENTIAL = "dice-key"  # as in LoadCredentialEncrypted=dice-key:/etc/dice/dice-key
_KEY_BYTES = 32
_WHAT = "the key of a registry"


def create(path):
    """Write a new key to a new file; raises CommandError."""
    try:
        private_file.write(path, secrets.token_bytes(_KEY_BYTES))
    except FileExistsError:
        raise CommandError(f"{path} exists already, and may be the key of a registry: choose another name", USAGE)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}", USAGE)


def load(path=None):
    """Return the key in the file `path`; without a path, that in systemd's credential, or None. Raises CommandError."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    try:
        if path is not None:
            key = private_file.read(path, _WHAT)
        elif credentials and (Path(credentials) / CREDENTIAL).exists():
            path = Path(credentials) / CREDENTIAL  # its mode is systemd's affair: it is readable by the service alone
            key = path.read_bytes()
        else:
            return None
    except OSError as error:
        raise CommandError(f"cannot read the key file {path}: {error.strerror}; dicectl manager key creates one", USAGE)
    if len(key) != _KEY_BYTES:
        raise CommandError(f"{path} is no key file: it has {len(key)} bytes, not {_KEY_BYTES}", USAGE)
    return key
