# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Processors on which MicroPython runs by the port in host_tests/emulated/port, built from Debian's source of MicroPython."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from dicectl import resources
from dicectl.emulator import board
from dicectl.errors import CommandError
from dicectl.firmware import debian
from dicectl.subprocess_log import Log, cache, file_lock, require_commands
from host_tests.emulated.targets import built
from host_tests.emulated.targets.base import TIMEOUT_S, Target

FOLDER = resources.ROOT / "host_tests" / "emulated"
BLOCKS = 512  # of 4 KB: the 2 MB that an ESP32 with 4 MB of flash has for files
_RAW, _END = b"\x01", b"\x04"
_BEGINS = b"raw REPL; CTRL-B to exit\r\n>OK"


def quiet(*_):
    """Ignore the progress of a build."""


class Ported(Target):
    """A folder of host_tests/emulated with chip.mk, named as the target.

    `tools` is {command: Debian package}, `headers` (a compiler, the package with its headers of libc).
    """

    tools = {}
    headers = ()

    def toolchain(self, folder):
        """Prepare what the build needs, in `folder`; return what its environment has more than this process's."""
        return {}

    def command(self, firmware, *arguments):
        """Return the argument vector that runs a firmware."""
        raise NotImplementedError

    def packages(self):
        return (*self.tools.values(), self.headers[1])

    def build_seconds(self):
        path = self._folder() / "seconds"
        return float(path.read_text()) if path.exists() else None

    def _folder(self):
        return cache() / "build" / f"{self.name}-{self._inputs()}"

    def get(self):
        """Return the path of firmware.elf."""
        require_commands(self.tools)
        self._check_headers()
        tree = debian.tree(quiet)
        folder = self._folder()
        elf = folder / "firmware.elf"
        if not elf.exists():
            with file_lock(folder, quiet):
                if not elf.exists():
                    self._build(tree, folder)
        return elf

    def _check_headers(self):
        compiler, package = self.headers
        argv = [compiler, "-E", "-o", os.devnull, "-"]
        if subprocess.run(argv, input=b"#include <alloca.h>\n", capture_output=True).returncode:
            how = f"install with: apt-get install --no-install-recommends {package}"
            raise CommandError(f"missing: headers of libc for {compiler}; {how}")

    def _inputs(self):
        """Return a hash of what the firmware is made from."""
        made_from = hashlib.sha256(repr((debian.versions(), str(debian.tree(quiet)))).encode())
        for path in sorted(path for top in ("port", self.name) for path in (FOLDER / top).iterdir() if path.is_file()):
            made_from.update(repr((path.name, path.read_bytes())).encode())
        return made_from.hexdigest()[:16]

    def _build(self, tree, folder):
        outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
        environment = {name: value for name, value in os.environ.items() if name not in outer}
        before = built.cpu_seconds()
        environment |= self.toolchain(folder)
        argv = ["make", "-f", FOLDER / "port" / "Makefile", f"-j{os.cpu_count()}", f"TOP={tree}", f"CHIP={FOLDER / self.name}"]
        with tempfile.TemporaryDirectory(dir=folder) as work:
            log = Log(folder / "build.log")
            log.run(f"building MicroPython for {self.name}", [*argv, f"BUILD={work}"], cwd=FOLDER / "port", environment=environment)
            (folder / "seconds").write_text(f"{built.cpu_seconds() - before:.0f}\n")
            shutil.move(Path(work) / "firmware.elf", folder / "firmware.elf")

    def started(self, script, files, folder):
        image = folder / "image"
        image.write_bytes(board.make_image(files, BLOCKS))
        return self.command(self.get(), image), self.typed(script), None

    def typed(self, script):
        """Return the bytes that run a script in the raw REPL."""
        return _RAW + script.encode() + _END

    def run(self, script, files, timeout_s=TIMEOUT_S):
        with tempfile.TemporaryDirectory(prefix="dice-target-") as folder:
            return self.execute(script, self.started(script, files, Path(folder))[0], timeout_s)

    def execute(self, script, command, timeout_s):
        """Run a script through the raw REPL of a command."""
        try:
            done = subprocess.run(command, input=self.typed(script), stdout=subprocess.PIPE, timeout=timeout_s)
            seen, status = done.stdout, f"ended with status {done.returncode}"
        except subprocess.TimeoutExpired as failure:
            seen, status = failure.stdout or b"", "has not ended in time"
        output, *rest = seen.partition(_BEGINS)[2].split(_END)
        output = output.decode(errors="replace").replace("\r\n", "\n")
        if len(rest) < 2:
            raise board.ScriptError(f"{self.name} {status}", output)
        if rest[0]:
            raise board.ScriptError(rest[0].decode(errors="replace").replace("\r\n", "\n").strip(), output)
        return output.splitlines()
