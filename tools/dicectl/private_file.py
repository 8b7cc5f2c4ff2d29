# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files with keys: they are used only if they belong to this user, nobody else can read or write them, and they are no links.

As ssh does: a file that others can read has told its keys already, and one that others can write or replace has theirs. `what` says
in an error what the file contains, such as "the key of a device".
"""

import os
import stat
from pathlib import Path

from dice.store import sync
from dicectl import system
from dicectl.errors import USAGE, CommandError

_OPEN = os.O_RDONLY
for _name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # the last one is of Windows, the others are not
    _OPEN |= getattr(os, _name, 0)


def read(path, what="keys"):
    """Return the bytes of a private file; raises CommandError, also if others can read it. OSError: it cannot be opened."""
    with opened(path, what) as file:
        return file.read()


def opened(path, what="keys"):
    """Return a private file, open for reading; what is checked is what is read. Raises CommandError or OSError."""
    try:
        descriptor = os.open(path, _OPEN)
    except OSError:
        if os.path.islink(path):
            raise _error(path, what, "is a link: name the file itself")
        raise
    try:
        _check(path, os.fstat(descriptor), what)
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check(path, what="keys", of_anybody=False):
    """Raise CommandError unless the file at `path` is private, of this user or of anybody; OSError if there is none."""
    _check(path, os.lstat(path), what, of_anybody)


def check_folder(path, what="keys"):
    """Raise CommandError if somebody else can replace the files in a folder; OSError if there is none."""
    about = os.stat(path)
    if system.WINDOWS:
        return
    if about.st_uid != os.geteuid():
        raise _error(path, what, "belongs to another user: use a folder of your own")
    if about.st_mode & 0o022:
        raise _error(path, what, f"can be changed by others: chmod go-w {path}")


def is_root():
    """Return whether this user may use the files of a service, which has a user of its own."""
    return not system.WINDOWS and os.geteuid() == 0


def give(path, like):
    """As root, let the file at `path`, which root has made, belong to the owner of the file `like`, or of its folder."""
    if not is_root():
        return
    owner = os.lstat(like if os.path.lexists(like) else Path(like).absolute().parent)
    descriptor = os.open(path, _OPEN)
    try:
        about = os.fstat(descriptor)
        if stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_uid == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
    finally:
        os.close(descriptor)


def create(path):
    """Return a new file, open for writing, that only its owner can read; OSError, if there is one already."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def write(path, data):
    """Write a new private file durably; raises OSError. If it raises, there is no file."""
    fill(create(path), path, data)


def fill(file, path, data):
    """Write the file that create(path) returned; if that raises OSError, there is no file."""
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync(Path(path).parent)
    except BaseException:
        os.unlink(path)
        raise


def _check(path, about, what, of_anybody=False):
    if stat.S_ISLNK(about.st_mode):
        raise _error(path, what, "is a link: name the file itself")
    if not stat.S_ISREG(about.st_mode):
        raise _error(path, what, "is no file")
    if system.WINDOWS:
        return
    if about.st_uid != os.geteuid() and not of_anybody:
        raise _error(path, what, "belongs to another user: use it as that user, or copy it")
    if about.st_mode & 0o077:
        raise _error(path, what, f"can be read or written by others: chmod 600 {path}")


def _error(path, what, trouble):
    return CommandError(f"{path}, which contains {what}, {trouble}", USAGE)
