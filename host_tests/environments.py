# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Packages from PyPI that only some tests need, each in a virtual environment of its own in the cache.

The requirements are dependency groups of pyproject.toml.
"""

import re
import sys
from pathlib import Path

from dicectl.subprocess_log import Log, cache, file_lock

_PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def requirement(group, package):
    """Return what a dependency group says of a package, such as "ziglang==0.17.1"."""
    return re.search(rf'^{group} = .*"({package}[^"]*)"', _PYPROJECT.read_text(), re.MULTILINE)[1]


def python(group, package, before=lambda: None):
    """Return the path of a Python with a package of a dependency group; installs it once, after before(). Raises CommandError."""
    wanted = requirement(group, package)
    folder = cache() / "peers" / f"python-{sys.version_info[0]}.{sys.version_info[1]}-{package}"
    path = folder / "bin" / "python"
    with file_lock(folder, print):
        done = folder / "done"
        if not done.exists() or done.read_text() != wanted:
            before()
            log = Log(folder / "install.log")
            log.run("making a venv", [sys.executable, "-m", "venv", "--without-pip", folder])
            pip = [sys.executable, "-m", "pip", "--python", path, "install", "--quiet", wanted]
            log.run(f"installing {package} from PyPI", pip)
            done.write_text(wanted)
    return path
