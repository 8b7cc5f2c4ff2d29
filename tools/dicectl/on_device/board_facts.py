# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Facts about a board; `dicectl` sends this file to its RAM. Each function prints the repr of plain values, one a line."""

import gc
import os
import sys

_NEEDED = ("cryptolib", "hashlib", "asyncio", "network", "binascii")


def identity():
    """Print a dict: the machine, the version of MicroPython, the .mpy files it can load, sys.path, and where boot.py is."""
    implementation = sys.implementation
    print(
        repr(
            {
                "machine": getattr(implementation, "_machine", sys.platform),
                "build": getattr(implementation, "_build", ""),
                "platform": sys.platform,
                "version": list(implementation.version[:3]),
                "preview": bool(implementation.version[3:] and implementation.version[3]),
                "mpy": getattr(implementation, "_mpy", 0),
                "path": list(sys.path),
                "cwd": os.getcwd(),
                "boot": "/" if os.statvfs("/")[0] else os.getcwd(),  # a boot.py can change to another folder
            }
        )
    )


def room(folder):
    """Print a dict of bytes: the heap, and the file system of `folder`."""
    gc.collect()
    heap = gc.mem_free()
    block, _, blocks, free = os.statvfs(folder)[:4]
    sizes = {"heap_free": heap, "heap": heap + gc.mem_alloc(), "block": block, "flash": block * blocks, "flash_free": block * free}
    print(repr(sizes))


def missing():
    """Print the list of modules that dice may need and this firmware does not have."""
    lacks(_NEEDED)


def lacks(names):
    """Print the list of those modules of the firmware that it does not have."""
    absent = []
    for name in names:
        try:
            __import__(name)
        except ImportError:
            absent.append(name)
    print(repr(absent))


def installed():
    """Print [entry of sys.path, file, version or None, exception or None] for each dice, in the order of sys.path."""
    path = sys.path[:]
    mine = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "dice"}
    for entry in path:
        sys.path[:] = [entry]
        try:
            import dice

            print(repr([entry, dice.__file__, dice.__version__, None]))
        except ImportError:
            pass
        except Exception as error:
            print(repr([entry, None, None, "%s: %s" % (type(error).__name__, error)]))
        for name in list(sys.modules):
            if name.split(".")[0] == "dice":
                del sys.modules[name]
    sys.path[:] = path
    sys.modules.update(mine)


def c_module():
    """Print True if the firmware has the module `_dice`, in C; one in a file does not count."""
    try:
        import _dice

        if not hasattr(_dice, "__file__"):
            print(True)
    except Exception:  # such as one for another processor
        pass


def ctr():
    """Print True if cryptolib has the CTR mode."""
    try:
        from cryptolib import aes

        aes(bytes(16), 6, bytes(16))
        print(True)
    except Exception:  # stock firmware
        pass


def algorithms():
    """Print a dict of what computes AES-CCM and P-256: a module, "_dice" if it is in C; None for what is not there."""
    found = {"AES-CCM": None, "P-256": None}
    try:
        from dice import crypto

        if sys.modules.get("_dice") and crypto.crypt is sys.modules["_dice"].crypt:
            found["AES-CCM"] = "_dice"
        for name in ("ccm_ctr", "ccm_viper", "ccm"):
            module = sys.modules.get("dice.crypto." + name)
            if module and module.crypt is crypto.crypt:
                found["AES-CCM"] = name
        from dice.crypto import curve

        found["P-256"] = {"native": "_dice", "pure": "p256"}.get(curve.name(), curve.name())
    except Exception:  # a profile without it, or backend() says why
        pass
    print(repr(found))


def backend():
    """Print (name of the cryptographic back end or None, exception or None)."""
    try:
        from dice import crypto

        print(repr((crypto.name(), None)))
    except Exception as error:
        print(repr((None, "%s: %s" % (type(error).__name__, error))))
