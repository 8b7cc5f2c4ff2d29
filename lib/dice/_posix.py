# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Files on an operating system, for CPython and MicroPython's unix port; boards do not need it."""

import os
import sys

if sys.implementation.name == "micropython":
    create = open  # the unix port cannot choose the mode of a new file, so keep it in a folder of mode 0700
    Locked = object  # nor lock a folder

    def sync(path):
        """Write the file or folder at `path` to its disk, so that it survives a power failure; raises OSError."""
        with open(path, "rb") as file:
            file.flush()  # is fsync here, also of a folder

else:
    from importlib import import_module
    from weakref import ref

    def create(path, mode):
        """Return a new file that only its owner can read, since it may hold keys; `mode` is "wb". Raises OSError.

        A file at `path` is removed, and not written to: it may be a link to another file, or readable for others.
        """
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), mode)

    class _Lock:
        """A lock on a folder, which leaves nothing in it, until this object is deleted or its process ends."""

        def __init__(self, folder):
            """Raises OSError if another process has locked it, or if it cannot be locked."""
            import fcntl  # Windows has none

            self._close = os.close  # which is there also while Python ends
            self._descriptor = None
            self._descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

        def __del__(self):
            if self._descriptor is not None:
                self._close(self._descriptor)

    class Locked:
        """The base of a store in a folder, which one process at a time may use; a process can open it any number of times."""

        _locks: dict = {}  # {folder: (process, weak reference to the _Lock)}

        def __new__(cls, folder="."):
            """Lock `folder`, unless it does not exist; raises StoreError if another process has done so."""
            store = object.__new__(cls)
            path = os.path.realpath(folder)
            process, lock = cls._locks.get(path, (0, None))
            lock = lock() if lock and process == os.getpid() else None  # a forked process has none of its parent's
            try:
                store._folder_lock = lock or _Lock(path)
            except (FileNotFoundError, NotADirectoryError):
                return store
            except OSError:  # the modules of errors import this one
                raise import_module("dice.errors").StoreError(import_module("dice.reasons").E_STORE_SHARED)
            cls._locks[path] = os.getpid(), ref(store._folder_lock)
            return store

    def sync(path):
        """Write the file or folder at `path` to its disk, so that it survives a power failure; raises OSError."""
        if sys.platform == "win32" and os.path.isdir(path):
            return  # Windows cannot open a folder; NTFS journals file names
        descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
