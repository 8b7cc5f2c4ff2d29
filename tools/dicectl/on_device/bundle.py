# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Lets a board import the modules of a bundle, a file `dice.mpy`; see firmware/bundle.py, which writes it.

This is compiled together with dice/__init__.py and is the first part of the file. MicroPython stops reading behind it. The rest of
the file appears as a folder in the root, with the path of the file as its name: /lib/dice.mpy is /lib.dice.mpy. there. (Below a
mounted folder, such as the /flash of some ports, MicroPython finds no other one.)
"""

import os


class _Bundle:
    """A file system with what MicroPython needs for an import, and no more. It is not instantiated, which saves RAM."""

    file = __file__ if __file__[0] == "/" else os.getcwd().rstrip("/") + "/" + __file__

    def mount(*_):
        """Do nothing."""

    umount = mount

    def find(path):
        """Return where a module begins in the file, or None for a folder; raises OSError if it is neither."""
        if not path.endswith(".py"):  # there are none, and they are asked for first
            with open(_Bundle.file, "rb") as file:
                file.seek(-2, 2)
                file.seek(-int.from_bytes(file.read(2), "big"), 2)
                index = file.read()
            if path.endswith(".mpy"):
                _, found, rest = index.partition(b"\n%s " % path[:-4])
                if found:
                    return int(rest.split(None, 1)[0])
            elif index.find(b"\n%s/" % path) >= 0:
                return None
        raise OSError(2)

    def stat(path):
        """Return what os.stat() returns, with the type alone."""
        return (0x8000 >> (_Bundle.find(path) is None),) + (0,) * 9

    def open(path, _):
        """Return the file, at the first byte of a module; MicroPython reads no further than its last."""
        at = _Bundle.find(path)
        file = open(_Bundle.file, "rb")  # noqa: SIM115 - MicroPython closes it
        file.seek(at)
        return file


# As a package that lies in the folder.
__path__ = "/%s." % _Bundle.file[1:].replace("/", ".")
try:
    os.umount(__path__)  # of an earlier import
except OSError:
    pass
os.mount(_Bundle, __path__)
