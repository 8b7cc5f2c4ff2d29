# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Makes the emulator fast: compiles rp2040py's own C sources for this very Python. `make` runs it once; it is safe to run again.

The wheel is compiled for all versions of Python at once (abi3), so that each access of the emulated chip to its memory looks a
method up by name. The C sources are in the wheel too; compiled for one version they take a quarter of the time, to the same cycle.
Where there is no compiler, or Python's headers are missing, the wheel does, slowly.
"""

import concurrent.futures
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_TRY = "import rp2040py.native._simulator, rp2040py.native._gpio_pin, rp2040py.native._pio, rp2040py.native._state_machine"


def _folder():
    """Return the folder of the emulator's C sources, or None where the wheel is not one for all versions."""
    found = importlib.util.find_spec("rp2040py")
    folder = Path(found.submodule_search_locations[0], "native") if found else None
    return folder if folder and list(folder.glob("*.abi3.so")) else None


def _compiled(source):
    return source.with_name(source.stem + sysconfig.get_config_var("EXT_SUFFIX"))


def _compile(source, target):
    """Compile one source; raises OSError or subprocess.CalledProcessError."""
    argv = [*shlex.split(sysconfig.get_config_var("LDSHARED")), "-O3", "-fPIC", "-DNDEBUG", "-w"]
    argv += ["-I", sysconfig.get_path("include"), str(source), "-o", str(target)]
    subprocess.run(argv, check=True, capture_output=True)


def compile_all(folder):
    """Compile what is in a folder, all of it or nothing; return whether that could be done."""
    sources = sorted(folder.glob("*.c"))
    with tempfile.TemporaryDirectory(dir=folder) as there:
        targets = [Path(there, _compiled(source).name) for source in sources]
        try:
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(_compile, sources, targets))
        except (OSError, subprocess.CalledProcessError):
            return False
        for target in targets:
            target.replace(folder / target.name)
    if subprocess.run([sys.executable, "-c", _TRY], capture_output=True).returncode:
        for source in sources:
            _compiled(source).unlink()
        return False
    return True


def main():
    """Do it where it is not done yet, and say so."""
    folder = _folder()
    if folder is None:
        return
    if all(_compiled(c).exists() and _compiled(c).stat().st_mtime >= c.stat().st_mtime for c in folder.glob("*.c")):
        return
    print("Compiling the emulator for this Python (half a minute, once) ...")
    if not compile_all(folder):
        print("No gcc or no headers of Python (Debian: apt-get install gcc python3-dev): the emulator takes four times as long.")


if __name__ == "__main__":
    main()
