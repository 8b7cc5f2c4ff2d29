# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Compiles the emulator for the Python that runs it, once, into the cache.

rp2040py's wheel is compiled for all versions of Python at once (abi3), so that each access of the emulated chip to its memory looks
a method up by name. The wheel carries its C sources too. Compiled for one version they take a third of the time, to the same
cycle; with the loop of `_simulator.pyx` in the place of rp2040py's, a sixth of that. Without a compiler or Python's headers, the
emulator runs as the wheel has it.
"""

import concurrent.futures
import contextlib
import hashlib
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from dicectl import resources
from dicectl.emulator.compiled import PACKAGE
from dicectl.subprocess_log import cache, file_lock

_LOOP = resources.EMULATOR / "_simulator.pyx"
_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
_TRY = f"""
import sys
from dicectl.emulator import compiled
compiled.use(sys.argv[1])
import {PACKAGE}._simulator, {PACKAGE}._gpio_pin, {PACKAGE}._pio, {PACKAGE}._state_machine
"""


def sources():
    """Return the emulator's C sources; none if it is not installed, or if its wheel is for one version of Python anyway."""
    found = importlib.util.find_spec("rp2040py")
    folder = Path(found.submodule_search_locations[0], "native") if found else None
    return sorted(folder.glob("*.c")) if folder and list(folder.glob("*.abi3.so")) else []


def place(files):
    """Return the folder in the cache for what these sources are compiled to by this Python, or None without sources."""
    if not files:
        return None
    made_from = hashlib.sha256(_SUFFIX.encode())
    for path in (*files, _LOOP):
        source = path.read_bytes()
        made_from.update(f"{path.name} {len(source)}\n".encode())
        made_from.update(source)
    return cache() / "emulator" / made_from.hexdigest()[:16]


def ensure(progress):
    """Compile the emulator unless that was done; return whether it is compiled. `progress` is called with what is done."""
    files = sources()
    folder = place(files)
    if folder is None:
        return True
    try:
        with file_lock(folder, progress):
            if not (folder / "modules").exists():
                progress("compiling the emulator for this Python")
                _compile_all(files, folder)
    except (OSError, subprocess.CalledProcessError):  # no compiler, no headers, or a cache that cannot be written
        return False
    return any((folder / "modules").iterdir())


def modules():
    """Return the folder of the compiled modules, or None when ensure() has not made it."""
    folder = place(sources())
    return folder / "modules" if folder and (folder / "modules").exists() else None


def _compile_all(files, folder):
    """Compile all files into folder/modules, which stays empty if Python cannot load the result. Raises what _compile() raises."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        target = Path(fresh, "modules")
        target.mkdir()
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda source: _compile(source, target), files))
        with contextlib.suppress(subprocess.CalledProcessError):  # no Cython, or another rp2040py: then its own loop is used
            _compile(_translate(_LOOP, Path(fresh)), target)
        if subprocess.run([sys.executable, "-c", _TRY, target], capture_output=True).returncode:
            for path in target.iterdir():
                path.unlink()
        target.rename(folder / "modules")


def _translate(source, folder):
    """Translate a module of rp2040py.native from Cython to C; return its path in `folder`. Raises subprocess.CalledProcessError."""
    made = folder / f"{source.stem}.c"
    argv = [sys.executable, "-m", "cython", "--module-name", f"{PACKAGE}.{source.stem}", str(source), "-o", str(made)]
    subprocess.run(argv, check=True, capture_output=True)
    return made


def _compile(source, folder):
    """Compile one source into `folder`; raises OSError or subprocess.CalledProcessError."""
    argv = [*shlex.split(sysconfig.get_config_var("LDSHARED")), "-O3", "-fPIC", "-DNDEBUG", "-w"]
    argv += ["-I", sysconfig.get_path("include"), str(source), "-o", str(folder / f"{source.stem}{_SUFFIX}")]
    subprocess.run(argv, check=True, capture_output=True)


def main():
    """Compile, and say so: `make` runs this once for each environment."""
    if not ensure(lambda text: print(f"{text} ...", flush=True)):
        print("No gcc or no headers of Python (Debian: apt-get install gcc python3-dev): the emulator takes twenty times as long.")


if __name__ == "__main__":
    main()
