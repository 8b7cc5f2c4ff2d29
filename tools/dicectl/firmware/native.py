# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Builds the module `_dice` of firmware/native as a native .mpy for stock firmware: P-256 and AES-CCM at the speed of C.

P-256 is p256-m (in Debian's source of Mbed TLS), with the variant "fast" in part BearSSL's ec_p256_m15. AES is that of Mbed TLS or
of BearSSL. None of it is in this repository: `debian` fetches it. Everything is one translation unit, so that what is not used is
left out. A build is kept in the cache, in a folder whose name depends on all that it is made from.
"""

import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dicectl import resources
from dicectl.errors import USAGE, CommandError
from dicectl.firmware import bearssl, comb, debian, xtensa
from dicectl.firmware.recipe import quiet
from dicectl.subprocess_log import Log, cache, file_lock, require_commands

FOLDER = resources.FIRMWARE / "native"
NAME = "_dice.mpy"
VARIANTS = ("small", "fast")


@dataclass(frozen=True)
class _Architecture:
    """How to compile for one: GCC, its Debian package, options; `tables` if its AES is the one with tables (core/ccm.c)."""

    gcc: str
    package: str
    options: tuple
    tables: bool = True


def _arm(cpu, *options):
    return _Architecture("arm-none-eabi-gcc", "gcc-arm-none-eabi", ("-mthumb", f"-mcpu={cpu}", *options))


_ARCHITECTURES = {
    "armv6m": _arm("cortex-m0", "-DMICROPY_FLOAT_IMPL=0"),
    "armv7m": _arm("cortex-m3", "-DMICROPY_FLOAT_IMPL=0"),
    "armv7emsp": _arm("cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-DMICROPY_FLOAT_IMPL=1"),
    "rv32imc": _Architecture(
        "riscv64-unknown-elf-gcc",
        "gcc-riscv64-unknown-elf",
        ("-march=rv32imac", "-mabi=ilp32", "-mno-relax", "-DMICROPY_FLOAT_IMPL=0"),
    ),
    "x64": _Architecture("gcc", "gcc", ("-DMICROPY_FLOAT_IMPL=2",), tables=False),
    "xtensawin": _Architecture(
        xtensa.GCC, xtensa.TOOLS[xtensa.GCC], ("-mabi=windowed", "-mlongcalls", "-DMICROPY_FLOAT_IMPL=1"), tables=False
    ),
}
ARCHITECTURES = tuple(_ARCHITECTURES)
# Without -fno-strict-aliasing, GCC's code of BearSSL's and p256-m's sources is wrong, once all is one translation unit.
_OPTIONS = ("-std=gnu99", "-O2", "-fpic", "-fno-common", "-fno-strict-aliasing", "-fno-stack-protector", "-fwhole-program")
_OPTIONS += ("-U_FORTIFY_SOURCE", "-Wall", "-Werror", "-DNDEBUG", "-DNO_QSTR", "-DMICROPY_ENABLE_DYNRUNTIME")
_OPTIONS += ("-DMICROPY_USE_INTERNAL_ERRNO=1", '-DMBEDTLS_CONFIG_FILE="dice_mbedtls.h"')
_P256_M = "lib/mbedtls/3rdparty/p256-m/p256-m"
_INCLUDED = ("lib/mbedtls/include", "lib/mbedtls/library", _P256_M)  # of MicroPython's tree


# In p256-m's source, for a compiler that makes branches of carries: firmware/native/core/carries.h.
_SUMS = {
    "(uint64_t) carry + x[i] + y[i];": "dice_add(dice_add(carry, x[i]), y[i]);",
    "(uint64_t) x[i] - y[i] - carry;": "dice_subtract(x[i], y[i], carry);",
    "(uint64_t) z[8] + carry;": "dice_add(z[8], carry);",
    "lo + ((uint64_t) (hi + (m1 >> 16) + (m2 >> 16)) << 32);": "lo | ((uint64_t) (hi + (m1 >> 16) + (m2 >> 16)) << 32);",
    "acc += m1 << 16;": "acc = dice_add(acc, m1 << 16);",
    "acc += m2 << 16;": "acc = dice_add(acc, m2 << 16);",
    "acc += z;": "acc = dice_add(acc, z);",
    "acc += t;": "acc = dice_add(acc, t);",
}


def check(architecture, variant):
    """Raise CommandError if there is no such architecture or variant, or if something is missing to build for it."""
    if architecture not in ARCHITECTURES:
        raise CommandError(f"there is no native code for {architecture}; there is for {', '.join(ARCHITECTURES)}", USAGE)
    if variant not in VARIANTS:
        raise CommandError(f"there is no variant {variant}; there are {', '.join(VARIANTS)}", USAGE)
    chosen = _ARCHITECTURES[architecture]
    require_commands({chosen.gcc: chosen.package, **(xtensa.TOOLS if chosen.gcc == xtensa.GCC else {})})
    if not importlib.util.find_spec("elftools"):
        raise CommandError("missing: the package elftools, for MicroPython's linker; install with: pip install pyelftools")


def build(architecture, variant="small", progress=quiet):
    """Return the path of _dice.mpy, built on the first call, then from the cache; raises CommandError."""
    check(architecture, variant)
    tree, of_bearssl = sources(progress)
    folder = cache() / "native" / f"{architecture}-{variant}-{_made_from(architecture)}"
    with file_lock(folder, progress):
        if not (folder / NAME).exists():
            progress(f"compiling {NAME} for {architecture} ({variant})")
            with tempfile.TemporaryDirectory(dir=folder) as work:
                _compile(architecture, variant, tree, of_bearssl, Path(work), Log(folder / "build.log"))
                (Path(work) / NAME).rename(folder / NAME)
    return folder / NAME


def sources(progress=quiet):
    """Return the folders of MicroPython's source, which contains Mbed TLS, and of BearSSL's; fetched once. Raises CommandError."""
    return debian.tree(progress), bearssl.source(progress)


@functools.lru_cache(None)
def _made_from(architecture):
    """Return a hash of all that a build is made from, once the sources were fetched."""
    chosen = _ARCHITECTURES[architecture]
    compiler = subprocess.run([chosen.gcc, "--version"], capture_output=True, text=True).stdout
    hashed = hashlib.sha256(repr((debian.versions(), bearssl.version(), compiler, chosen, _OPTIONS)).encode())
    for path in [Path(__file__), Path(comb.__file__), *sorted(FOLDER.rglob("*"))]:
        if path.is_file():
            hashed.update(repr((path.name, path.read_bytes())).encode())
    return hashed.hexdigest()[:16]


def unit(architecture, variant, tree, of_bearssl, tables=None):
    """Return (C source, options) of the whole core, without the binding to MicroPython; `tables` to choose the AES."""
    tables = _ARCHITECTURES[architecture].tables if tables is None else tables
    parts = [FOLDER / "core" / name for name in ("memory.c", "wipe.c", "p256.c", "ccm.c")]
    parts += [tree / "lib" / "mbedtls" / "library" / "aes.c"] if tables else []
    parts += [] if tables else [of_bearssl / "src" / "symcipher" / name for name in ("aes_ct.c", "aes_ct_enc.c")]
    parts += [of_bearssl / "src" / "codec" / "ccopy.c"] if variant == "fast" else []
    folders = [FOLDER / "core" / "stand_ins", FOLDER / "core", FOLDER, tree, *(tree / name for name in _INCLUDED)]
    folders += [of_bearssl / "inc", of_bearssl / "src"]
    options = [*_OPTIONS, *(f"-I{folder}" for folder in folders)]
    options += ["-DDICE_AES_TABLES"] * tables + ["-DDICE_FAST"] * (variant == "fast")
    return "#undef MUL\n".join(f'#include "{part}"\n' for part in parts), options  # BearSSL and Mbed TLS both have a macro MUL


def _compile(architecture, variant, tree, of_bearssl, work, log):
    """Compile and link _dice.mpy in the folder `work`."""
    chosen = _ARCHITECTURES[architecture]
    binding = FOLDER / "natmod" / "module.c"
    linker = [sys.executable, tree / "tools" / "mpy_ld.py", "--arch", architecture]
    log.run("collecting names", [*linker, "--preprocess", "-o", work / "names.h", FOLDER / "binding.h", binding])
    source, options = unit(architecture, variant, tree, of_bearssl)
    (work / "comb.h").write_text(comb.table())
    (work / "unit.c").write_text(f'{source}#include "{binding}"\n')
    environment = {}
    if chosen.gcc == xtensa.GCC:
        environment = xtensa.environment(quiet)
        (work / "p256-m.c").write_text(_without_carries((tree / _P256_M / "p256-m.c").read_text()))
    argv = [chosen.gcc, *chosen.options, f"-I{work}", *options, '-DMP_CONFIGFILE="names.h"', "-c", "-o", work / "unit.o"]
    log.run("compiling", [*argv, work / "unit.c"], environment={**_environment(), **environment})
    log.run("linking", [*linker, "--qstrs", "names.h", "-o", NAME, "unit.o"], cwd=work)


def _without_carries(source):
    """Return p256-m's source with other sums; raises CommandError if it is not the source that is known."""
    for text, other in _SUMS.items():
        if source.count(text) != 1:
            raise CommandError(f"p256-m has changed: its source has no {text!r}, or more than one")
        source = source.replace(text, other)
    return f'#include "carries.h"\n{source}'


def _environment():
    """Return the environment without what changes the output of GCC."""
    return {name: value for name, value in os.environ.items() if name not in ("CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX")}
