# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""RISC-V with 32 bits: MicroPython's unix port for Linux, with sockets, in QEMU's user mode.

Debian has no C library for it. PyPI's ziglang has a compiler and musl.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from dicectl.emulator.board import ScriptError
from host_tests import environments
from host_tests.emulated.targets import built
from host_tests.emulated.targets.base import TIMEOUT_S, Target, put

_COMPILER = "ziglang cc -target riscv32-linux-musl -mcpu=generic_rv32+m+a+c"
_VARIABLES = {
    "VARIANT": "standard",
    "CPP": "gcc -E -D__riscv -D__riscv_xlen=32",
    "COPT": "-Os -fno-sanitize=all",
    "CWARN": "-w",
    "CFLAGS_EXTRA": "-DMICROPY_EMIT_RV32=1 -DMICROPY_GCREGS_SETJMP=1",
    "LDFLAGS_ARCH": "",
    "STRIP": "",
    "SIZE": ":",
    **{f"MICROPY_{switch}": 0 for switch in ("PY_FFI", "PY_BTREE", "PY_SSL", "SSL_MBEDTLS")},
}


def _words():
    """Return the variables of make that are the same in all clones of this project."""
    return [f"{name}={value}" for name, value in _VARIABLES.items()]


def _make(tree, work, log):
    """Build the unix port."""
    compiler = f"{environments.python('targets', 'ziglang')} -m {_COMPILER}"
    places = {name: str(work / "zig") for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    own = [f"BUILD={work / 'objects'}", f"CC={compiler}", f"FROZEN_MANIFEST={built.MANIFEST}", f"USER_C_MODULES={built.MODULES}"]
    argv = ["make", "-C", tree / "ports" / "unix", f"-j{os.cpu_count()}", *_words(), *own]
    log.run("building MicroPython for RISC-V", argv, environment={**os.environ, **places})
    return work / "objects" / "micropython"


class RiscV32(Target):
    """RV32IMAC, as an ESP32-C3 and an ESP32-C6; the heap is as on those without dice."""

    name = "riscv32"
    title = "RISC-V (RV32IMAC), the unix port in qemu-riscv32"
    architecture = "rv32imc"
    heap = "192k"
    system_call = bytes.fromhex("73000000")
    build = built.Build(
        "micropython-riscv32",
        _make,
        (built.MODULES,),
        (environments.requirement("targets", "ziglang"), _COMPILER, _words()),
        {"qemu-riscv32": "qemu-user"},
    )

    def get(self):
        return self.build.get()

    def packages(self):
        return self.build.packages()

    def build_seconds(self):
        return self.build.seconds()

    def command(self, *arguments):
        """Return the argument vector that runs MicroPython."""
        return ["qemu-riscv32", str(self.get()), *arguments]

    def started(self, script, files, folder):
        put(files, folder)
        path = {"MICROPYPATH": ":.frozen", "PATH": os.environ["PATH"]}
        return self.command("-X", f"heapsize={self.heap}", "-c", script), b"", path

    def run(self, script, files, timeout_s=TIMEOUT_S):
        with tempfile.TemporaryDirectory(prefix="dice-riscv32-") as folder:
            argv, _, path = self.started(script, files, Path(folder))
            try:
                done = subprocess.run(argv, cwd=folder, env=path, capture_output=True, text=True, timeout=timeout_s)
            except subprocess.TimeoutExpired as hanging:
                raise ScriptError(f"{self.name} has not ended in time", (hanging.stdout or b"").decode())
        if done.returncode:
            raise ScriptError(done.stderr.strip(), done.stdout)
        return done.stdout.splitlines()
