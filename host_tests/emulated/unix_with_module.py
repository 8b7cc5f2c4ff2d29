# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""MicroPython's unix port with the module `_dice` of firmware/native/usermod, built once from Debian's sources, in several forms.

    BUILD.get() / "small"              each of VARIANTS
    BUILD.get() / "small-checked"      the same, GCC's sanitizers of addresses and undefined behaviour in `_dice` and Mbed TLS
    BUILD.get() / "each"               for valgrind, with a `_dice` too; a native .mpy is loaded by another name

In the last two, each object is an allocation of its own, whose bounds are known: firmware_mbedtls/each_allocation.c.
"""

import os
import shutil

from dicectl import resources
from dicectl.firmware import bearssl, comb, recipe
from host_tests.emulated.targets import built

NATIVE = resources.FIRMWARE / "native"
VARIANTS = ("small", "fast", "mbedtls")
_MBED_TLS = resources.ROOT / "host_tests" / "emulated" / "firmware_mbedtls"  # Debian's port links the system's
_OPTIONS = ["CWARN=-w", "CFLAGS_EXTRA=-DMICROPY_NLR_SETJMP=1"]  # sanitizers know longjmp()
_OPTIONS += [f"MICROPY_{name}=0" for name in ("PY_FFI", "PY_BTREE", "PY_SSL", "SSL_MBEDTLS")]
_SANITIZERS = "-fsanitize=address,undefined"
_EACH = "-Wl,--wrap=gc_alloc,--wrap=gc_realloc,--wrap=gc_free"
_FORMS = {f"{variant}": [] for variant in VARIANTS}
_FORMS["each"] = [f"LDFLAGS_EXTRA={_EACH}"]
_FORMS |= {
    f"{variant}-checked": [f"DICE_CHECKED=-g -fno-omit-frame-pointer {_SANITIZERS}", f"LDFLAGS_EXTRA={_SANITIZERS} {_EACH}"]
    for variant in VARIANTS
}


def _make(tree, work, log):
    modules, results, objects = work / "modules", work / "results", work / "objects"
    modules.mkdir()
    results.mkdir()
    for folder in (NATIVE / "usermod", _MBED_TLS):
        (modules / folder.name).symlink_to(folder)
    (work / "comb.h").write_text(comb.table())
    argv = ["make", "-C", tree / "ports" / "unix", "VARIANT=standard", f"-j{os.cpu_count()}", f"BUILD={objects}"]
    argv += [f"FROZEN_MANIFEST={built.MANIFEST}", f"USER_C_MODULES={modules}", *_OPTIONS]
    argv += [f"DICE_COMB={work}", f"DICE_BEARSSL={bearssl.source(recipe.quiet)}"]
    for form, options in _FORMS.items():
        variant = form.split("-")[0]
        chosen = variant if variant in VARIANTS else VARIANTS[0]
        log.run(f"building the unix port with the module _dice, {form}", [*argv, f"DICE_P256={chosen}", *options])
        shutil.move(objects / "micropython", results / form)
        for path in [*(objects / "usermod").glob("*.o"), *(objects / "lib" / "mbedtls").rglob("*.o")]:
            path.unlink()
    return results


BUILD = built.Build("micropython", _make, (NATIVE, _MBED_TLS, built.MANIFEST), ("with _dice", _FORMS, _OPTIONS))
