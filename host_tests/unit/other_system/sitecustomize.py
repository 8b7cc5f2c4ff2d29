# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Makes this Python look like one on macOS or Windows to dicectl: $OTHER_SYSTEM is darwin or win32.

Modules of the standard library and other packages that depend on the system are imported first. Then modules and functions that
the other system lacks are removed, and sys.platform changes.
"""

import asyncio
import errno
import os
import signal
import socket
import sys
import types

import mpremote.transport_serial  # noqa: F401
import rich_click  # noqa: F401
import serial.tools.list_ports  # noqa: F401

_MISSING = {"darwin": (), "win32": ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")}
_WSAEWOULDBLOCK = 10035
_LK_NBLCK = 2


class _Missing:
    """An importer that raises for each missing module."""

    def __init__(self, names):
        self._names = names

    def find_spec(self, name, path=None, target=None):
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _no_reader(*_):
    raise NotImplementedError  # as the proactor loop does


def _windows():
    """Remove the modules and functions that Windows lacks, and let sockets and folders behave as there."""
    for name in ("sync", "killpg", "fork", "openpty", "O_PATH", "O_DIRECTORY"):
        delattr(os, name)
    family, socketpair = socket.AF_UNIX, socket.socketpair
    socket.socketpair = lambda: socketpair(family)
    for name in ("AF_UNIX", "AF_PACKET"):
        delattr(socket, name)
    for name in ("SIGHUP", "SIGKILL", "SIGSTOP", "SIGCONT"):
        delattr(signal, name)
    asyncio.SelectorEventLoop.add_reader = _no_reader
    asyncio.SelectorEventLoop.remove_reader = _no_reader
    locks = []
    sys.modules["colorama"] = types.SimpleNamespace(init=lambda: None, deinit=lambda: None)  # click requires it on Windows
    sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=_LK_NBLCK, locking=lambda *details: locks.append(details))
    receive, opening = socket.socket.recvfrom, os.open

    def recvfrom(self, *details):
        try:
            return receive(self, *details)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                raise OSError(_WSAEWOULDBLOCK, "no datagram") from None
            raise

    def open_(path, flags, *details, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "a folder")
        return opening(path, flags, *details, **options)

    socket.socket.recvfrom = recvfrom
    os.open = open_


_system = os.environ.get("OTHER_SYSTEM")
if _system:
    for _name in _MISSING[_system]:
        sys.modules.pop(_name, None)
    sys.meta_path.insert(0, _Missing(_MISSING[_system]))
    if _system == "win32":
        _windows()
    else:
        for _name in ("O_PATH",):
            delattr(os, _name)
        delattr(socket, "AF_PACKET")
    sys.platform = _system
