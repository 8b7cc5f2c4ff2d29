# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Debian's GCC and binutils for Xtensa, which are for the ESP8266, made to know the windowed ABI of the ESP32, -S2 and -S3.

Those have the same instructions except those of the windowed ABI. The compiler knows them, the assembler and the linker learn them
from a shared object, whose path is in $XTENSA_GNU_CONFIG: the table of all instructions of binutils' own source, with the facts of
a processor (firmware/native/natmod/xtensa_processor.c).
"""

import hashlib
import platform
import re
import shutil

from dicectl import resources
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock

GCC, AS = "xtensa-lx106-elf-gcc", "xtensa-lx106-elf-as"
TOOLS = {GCC: "gcc-xtensa-lx106", AS: "binutils-xtensa-lx106", "apt-get": "apt", "dpkg-deb": "dpkg", "gcc": "gcc"}
_PROCESSOR = resources.FIRMWARE / "native" / "natmod" / "xtensa_processor.c"
_WANTED = ("*/bfd/xtensa-modules.c", "*/include/xtensa-*.h", "*/include/ansidecl.h")


def environment(progress):
    """Return what the environment of GCC and binutils must have in addition; makes it on the first call. Raises CommandError."""
    folder = cache() / "xtensa" / hashlib.sha256(_PROCESSOR.read_bytes()).hexdigest()[:16]
    target = folder / "processor.so"
    with file_lock(folder, progress):
        if not target.exists():
            log = Log(folder / "log")
            source = _binutils(log, progress)
            fresh = folder / "fresh.so"
            argv = ["gcc", "-O1", "-shared", "-fPIC", "-I", source / "include", "-o", fresh]
            log.run("compiling the processor", [*argv, _PROCESSOR, source / "bfd" / "xtensa-modules.c"])
            fresh.rename(target)
    return {"XTENSA_GNU_CONFIG": str(target)}


def _binutils(log, progress):
    """Return a folder with the table of instructions in the source of the installed binutils, fetched once."""
    version = re.search(r"\d+\.\d+", log.run("looking at the assembler", [AS, "--version"]))[0]
    folder = cache() / f"binutils-{version}"
    with file_lock(folder, progress):
        if not (folder / "bfd").exists():
            suite = platform.freedesktop_os_release().get("VERSION_CODENAME", debian.SUITE)
            (package,) = debian.fetch(folder, suite, (), ("binutils-source",), log, progress)
            log.run("unpacking binutils-source", ["dpkg-deb", "-x", folder / "packages" / package, folder / "unpacked"])
            archive = folder / "unpacked" / "usr" / "src" / "binutils" / f"binutils-{version}.tar.xz"
            wanted = ["--strip-components=1", "--wildcards", *_WANTED]
            log.run("unpacking binutils", ["tar", "-xf", archive, "-C", folder / "unpacked", *wanted])
            for name in ("include", "bfd"):
                shutil.rmtree(folder / name, ignore_errors=True)
                (folder / "unpacked" / name).rename(folder / name)
            for name in ("unpacked", "packages"):
                shutil.rmtree(folder / name)
    return folder
