# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files that a user names and that are short, such as keys and certificates: a device such as /dev/zero would never end."""

from dicectl.errors import USAGE, CommandError

_MAX_BYTES = 1 << 20  # a bundle with the certificates of all authorities has a quarter of that


def read(path, what):
    """Return the bytes of a file that should contain `what`; raises CommandError if it cannot be read, or is too long for that."""
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise CommandError(f"{path}, which should contain {what}, cannot be read: {error.strerror}", USAGE)
    if len(data) > _MAX_BYTES:
        raise CommandError(f"{path} is too long: it should contain {what}", USAGE)
    return data
