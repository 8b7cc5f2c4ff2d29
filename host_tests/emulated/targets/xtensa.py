# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Xtensa with the windowed ABI, as in the ESP32, ESP32-S2 and ESP32-S3.

Debian's compiler is for the ESP8266, which has the same instructions except those of the windowed ABI. The compiler knows them, the
assembler and the linker learn them from a shared object: the table of all instructions of binutils' own source, with the facts of
a processor (processor.c).
"""

import platform
import re
import shutil

from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock
from host_tests.emulated.targets.ported import FOLDER, Ported, quiet

_GCC, _AS = "xtensa-lx106-elf-gcc", "xtensa-lx106-elf-as"
_WANTED = ("*/bfd/xtensa-modules.c", "*/include/xtensa-*.h", "*/include/ansidecl.h")


class Xtensa(Ported):
    """QEMU's dc233c: little-endian, 32 of the ESP32's 64 registers, without its muluh and its floating point."""

    name = "xtensa"
    title = "Xtensa with the windowed ABI (ESP32, -S2, -S3) in qemu-xtensa"
    architecture = "xtensawin"
    gate_s = 22
    system_call = bytes.fromhex("005000")
    tools = {_GCC: "gcc-xtensa-lx106", _AS: "binutils-xtensa-lx106", "qemu-xtensa": "qemu-user"}
    tools |= {"apt-get": "apt", "dpkg-deb": "dpkg", "dpkg-source": "dpkg-dev", "make": "make", "gcc": "gcc"}
    headers = (_GCC, "picolibc-xtensa-lx106-elf")

    def command(self, firmware, *arguments):
        return ["qemu-xtensa", "-cpu", "dc233c", firmware, *arguments]

    def toolchain(self, folder):
        log = Log(folder / "processor.log")
        source, target = binutils(log), folder / "processor.so"
        argv = ["gcc", "-O1", "-shared", "-fPIC", "-I", source / "include", "-o", target]
        log.run("compiling the processor", [*argv, FOLDER / "xtensa" / "processor.c", source / "bfd" / "xtensa-modules.c"])
        return {"XTENSA_GNU_CONFIG": str(target)}


def binutils(log):
    """Return a folder with the table of instructions in the source of the installed binutils, fetched once."""
    version = re.search(r"\d+\.\d+", log.run("looking at the assembler", [_AS, "--version"]))[0]
    folder = cache() / f"binutils-{version}"
    with file_lock(folder, quiet):
        if not (folder / "bfd").exists():
            suite = platform.freedesktop_os_release().get("VERSION_CODENAME", debian.SUITE)
            (package,) = debian.fetch(folder, suite, (), ("binutils-source",), log, quiet)
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
