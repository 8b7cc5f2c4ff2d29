# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Differences between operating systems: file locks, and the commands that need a certain system."""

import os
import stat
import sys
import time
from pathlib import Path

from dicectl.errors import USAGE, CommandError
from dicectl.text import printable

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


def holder(folder):
    """Return which other process has locked a folder, such as `process 4711 (dicectl group monitor lamps)`, as far as is known."""
    holders = {}
    try:
        about = os.stat(folder)
        for line in Path("/proc/locks").read_text().splitlines():
            _, kind, _, _, process, place, *_ = line.split()
            if kind == "FLOCK":
                holders[place] = process
    except (OSError, ValueError):
        return "another program"
    inode = f":{about.st_ino}"
    exact = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}{inode}"
    for place in (exact, *holders):  # some file systems give stat() another device number than the kernel's own
        if place in holders and place.endswith(inode):
            return _described(holders[place])
    return "another program"


def users(path):
    """Return which other processes have a terminal or a file open, such as `process 4711 (mpremote repl)`; "" if none is known.

    Another device, such as /dev/null, has any number of users; an emulator of ours is no user of its own terminal.
    """
    if _is_other_device(path):
        return ""
    found = []
    target = os.path.realpath(path)
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            is_open = any(os.readlink(link) == target for link in folder.iterdir())
        except OSError:  # of another user, or it has ended
            continue
        if is_open and int(folder.parent.name) != os.getpid() and not _is_emulator(folder.parent.name):
            found.append(_described(folder.parent.name))
    return ", ".join(found)


def _is_other_device(path):
    """Return whether a path is a device, but no terminal."""
    try:
        if not stat.S_ISCHR(os.stat(path).st_mode):
            return False
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return not os.isatty(descriptor)
    finally:
        os.close(descriptor)


def _is_emulator(process):
    """Return whether a process is `dicectl emulate`, or a board that it runs."""
    try:
        command = _command(process)
    except OSError:
        return False
    return {b"dicectl", b"emulate"} <= set(command) or any(b"dicectl.emulator" in part for part in command)


def nodes_in(folder):
    """Return which MicroPython programs, which cannot lock it, have a folder as theirs; "" if none is known (as on macOS)."""
    found = []
    target = os.path.realpath(folder)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == target and any(b"micropython" in word for word in _command(process.name)[:2]):
                found.append(_described(process.name))
        except OSError:  # of another user, or it has ended
            continue
    return ", ".join(found)


def _described(process):
    """Return `process 4711 (its command)`, as far as that is known."""
    try:
        return f"process {process} ({printable(b' '.join(_command(process)))})"
    except OSError:
        return f"process {process}"


def _command(process):
    """Return the words of its command without their folders, such as [b"python", b"micropython", b"main.py"]; raises OSError."""
    parts = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[:-1]
    return [part.rpartition(b"/")[2] or part for part in parts]


def require_linux(what):
    """Raise CommandError unless this is Linux."""
    if not sys.platform.startswith("linux"):
        raise CommandError(f"{what} needs Linux", USAGE)


def require_unix(what):
    """Raise CommandError on Windows."""
    if WINDOWS:
        raise CommandError(f"{what} needs Linux or macOS", USAGE)
