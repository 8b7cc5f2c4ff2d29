# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""How a command fails: one clear line on stderr, and an exit status."""

import errno
import os
import re
import shutil

import rich_click as click

FAILED, USAGE, NO_DEVICE = 1, 2, 3


class CommandError(click.ClickException):
    """Ends the command with `status`; the message says what to do."""

    def __init__(self, message, status=FAILED):
        super().__init__(message)
        self.exit_code = status


class DeviceError(Exception):
    """The board raised an exception: its name and text, as the last line of the traceback."""


def sentence(error):
    """Return an OSError as a line for users: the path, if it has one, and what the system says of it."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):  # of many files: the first one will do
        *_, path, why = error.args[0][0]
        number = re.match(r"\[Errno (\d+)\]", str(why))
        return f"{path}: {os.strerror(int(number[1])) if number else why}"
    why = error.strerror or str(error) or type(error).__name__
    path = error.filename2 if error.errno == errno.ENOSPC and error.filename2 else error.filename  # of a copy: the full disk's
    return why if path is None else f"{os.fsdecode(path) if isinstance(path, bytes) else path}: {why}"
