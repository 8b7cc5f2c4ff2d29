# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A row of the table of targets."""

import functools
import re
from pathlib import Path

from dicectl import resources
from dicectl.emulator import board
from host_tests import vectors
from host_tests.emulated import files

PORTABLE = resources.ROOT / "host_tests" / "portable"
EMULATED = resources.ROOT / "host_tests" / "emulated"
NAMES = sorted(path.stem for path in PORTABLE.glob("test_*.py"))
TIMEOUT_S = 1800
_IMPORT = re.compile(r"^(?:from ([\w.]+) )?import (\([^)]*\)|[^\n#]*)", re.MULTILINE)


def put(files, folder):
    """Write `files`, {path: bytes or path here}, below a folder of this computer."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, (bytes, bytearray)) else Path(content).read_bytes())


def _text(name):
    """Return the source of a module of tests, "" if it is none."""
    paths = [folder / f"{name}.py" for folder in (PORTABLE, EMULATED)]
    return next((path.read_text() for path in paths if path.exists()), "")


@functools.cache
def imported(name):
    """Return what a test module imports, also by other ones: modules, and names of modules with a dot."""
    found, left = set(), {name}
    while left:
        for module, names in _IMPORT.findall(_text(left.pop())):
            parts = re.findall(r"[\w.]+", names)
            new = {module, *(f"{module}.{part}" for part in parts)} if module else set(parts)
            left |= new - found
            found |= new
    return found


@functools.cache
def vector_files(name):
    """Return the files of vectors whose names are in a test module or in one that it imports: all are half a megabyte."""
    text = "".join(map(_text, sorted({name} | imported(name))))
    return {f"vectors/{file}": path for file, path in board.tree(vectors.extract()).items() if f'"{file}"' in text}


class Target:
    """A processor with MicroPython on it: how to get it, how to run a script on it, what it lacks.

    `architecture` is mpy-cross's word for its native code. `gate_s` is the time of one core that the gate has for its sample of the
    portable suite. `lacks` is {test module: why it cannot run there}, `slow` are the modules that take minutes there.
    `system_call` is the machine code of a system call, if the target is in QEMU.
    """

    name = ""
    title = ""
    architecture = ""
    gate_s = 18
    lacks = {}
    slow = frozenset()
    system_call = b""

    def get(self):
        """Return what run() needs, built on the first call and then from the cache; raises CommandError with what is missing."""
        raise NotImplementedError

    def packages(self):
        """Return the Debian packages that get() and run() need."""
        return ()

    def build_seconds(self):
        """Return the processor time that the build of MicroPython took, or None if it was not built for the tests here."""
        return

    def run(self, script, files, timeout_s=TIMEOUT_S):
        """Boot with `files`, {path: bytes or path here}, run the text of a script; return the lines that it printed.

        Raises board.ScriptError with the traceback of a script that fails or does not end.
        """
        raise NotImplementedError

    def started(self, script, files, folder):
        """Return (argument vector, input, environment) of the QEMU that does the same as run(), in a new folder."""
        raise NotImplementedError

    def dice(self, name):
        """Return the files of dice that a test module needs and the target lacks."""
        return files.dice(self.architecture, whole=True)

    def flash(self, name):
        """Return the files for a test module: dice, the portable suite, the vectors that it names."""
        names = [path.name for path in PORTABLE.glob("*.py") if path.name != "conftest.py"]
        tests = files.compiled(PORTABLE, *names, architecture=self.architecture)
        tests.update(files.compiled(resources.ON_DEVICE, "lossy_network.py", architecture=self.architecture))
        return {**self.dice(name), **tests, **vector_files(name)}

    def suite(self, *names, more=None):
        """Run test modules on a new board with `more` files; return (MicroPython's version, the output, its last line)."""
        script = f"import run, sys\nprint(sys.version)\nprint(run.main({names!r}))"
        version, *lines = self.run(script, {**self.flash(names[0]), **(more or {})})
        return version.split("MicroPython v")[-1].split()[0], "\n".join(lines), lines[-1]
