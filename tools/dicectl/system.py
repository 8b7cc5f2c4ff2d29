# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Differences between operating systems: file locks, and the commands that need a certain system."""

import sys
import time

from dicectl.errors import USAGE, CommandError

WINDOWS = sys.platform == "win32"
_POLL_S = 0.1


def try_lock(descriptor):
    """Lock an open file for this process and return True, or return False if another process has locked it."""
    try:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def lock(descriptor):
    """Lock an open file for this process; wait while another process has locked it."""
    if not WINDOWS:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    while not try_lock(descriptor):
        time.sleep(_POLL_S)


def require_linux(what):
    """Raise CommandError unless this is Linux."""
    if not sys.platform.startswith("linux"):
        raise CommandError(f"{what} needs Linux", USAGE)


def require_unix(what):
    """Raise CommandError on Windows."""
    if WINDOWS:
        raise CommandError(f"{what} needs Linux or macOS", USAGE)
