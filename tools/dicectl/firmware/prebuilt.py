# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The native module `_dice` for a board: as a wheel carries it, so that no compiler is needed, else built here (native.py).

    python -m dicectl.firmware.prebuilt     builds all for a wheel (`make native`)

They are in tools/dicectl/prebuilt/, which is not in the repository, with a file SOURCES: setup.py takes them only if that file has
the hash of the C sources and of what compiles them.
"""

import hashlib

from dicectl import resources
from dicectl.errors import CommandError
from dicectl.firmware import native
from dicectl.firmware.recipe import quiet

DEFAULT = "fast"  # the variant for a board with public keys
NONE = "none"
EMITTED = (6, 3)  # version and sub-version of .mpy that MicroPython's linker in Debian writes; native code needs exactly these
CHOICES = (*native.VARIANTS, NONE)
SOURCES = "SOURCES"
TOOLS = ("tools/dicectl/firmware/native.py", "tools/dicectl/firmware/comb.py")
# MicroPython on each of these loads the code of those before it: MPY_FEATURE_ARCH_TEST in its py/persistentcode.h.
THUMB = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp")


def architecture_for(architecture):
    """Return the architecture whose module runs on a board of an architecture, or None."""
    if architecture in THUMB:
        older = THUMB[: THUMB.index(architecture) + 1]
        return next(name for name in reversed(older) if name in native.ARCHITECTURES)
    return architecture if architecture in native.ARCHITECTURES else None


def find(architecture, variant=DEFAULT, progress=quiet):
    """Return the bytes of _dice.mpy for a board's architecture; raises CommandError if there is none and none can be built."""
    chosen = architecture_for(architecture)
    if chosen is None:
        raise CommandError(f"there is no native code for {architecture}; there is for {', '.join(native.ARCHITECTURES)}")
    path = resources.PREBUILT / file_name(chosen, variant)
    if resources.is_clone():
        return native.build(chosen, variant, progress).read_bytes()
    if path.is_file():
        return path.read_bytes()
    try:
        return native.build(chosen, variant, progress).read_bytes()
    except CommandError as failure:
        message = f"this dicectl was packaged without {native.NAME} for {chosen}: install a released wheel, or a compiler"
        raise CommandError(f"{message} ({failure.format_message()})") from failure


def file_name(architecture, variant):
    """Return the name of a file in the folder of prebuilt modules."""
    return f"{architecture}-{variant}.mpy"


def sources_hash():
    """Return the hash of firmware/native and of what compiles it; setup.py computes the same."""
    hashed = hashlib.sha256()
    for path in sorted(path for path in native.FOLDER.rglob("*") if path.is_file()):
        hashed.update(path.relative_to(native.FOLDER).as_posix().encode() + b"\0" + path.read_bytes())
    for tool in TOOLS:
        hashed.update((resources.clone("building for a wheel") / tool).read_bytes())
    return hashed.hexdigest()


def build_all(progress=print):
    """Build all modules of a wheel; raises CommandError with what is missing."""
    resources.clone("building for a wheel")
    for architecture in native.ARCHITECTURES:
        for variant in native.VARIANTS:
            native.check(architecture, variant)
    resources.PREBUILT.mkdir(exist_ok=True)
    for architecture in native.ARCHITECTURES:
        for variant in native.VARIANTS:
            data = native.build(architecture, variant).read_bytes()
            (resources.PREBUILT / file_name(architecture, variant)).write_bytes(data)
            progress(f"{file_name(architecture, variant)}: {len(data):,} bytes")
    (resources.PREBUILT / SOURCES).write_text(sources_hash() + "\n")


if __name__ == "__main__":
    build_all()
