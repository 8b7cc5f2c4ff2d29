# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Adds data to what pyproject.toml describes: files from outside of the package dicectl; dicectl.resources finds them in data/.

The native modules of tools/dicectl/prebuilt are data too, if `make native` has compiled them from these sources. Without them the
wheel is complete but for them, and says so: `dicectl deploy` then needs a compiler, or does without.
"""

import hashlib
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

DATA = (
    "lib/manifest.py",
    "lib/short_names.json",
    "lib/dice/**/*.py",
    "boards/**/*",
    "firmware/**/*.py",
    "firmware/native/**/*",
    "tools/dicectl/on_device/*.py",
    "tools/dicectl/monitoring/*",
    "tools/dicectl/emulator/*.pyx",
    "docs/footprint.json",
    "docs/measured/*.json",
)


PREBUILT = Path("tools/dicectl/prebuilt")
TOOLS = ("tools/dicectl/firmware/native.py", "tools/dicectl/firmware/comb.py")


def prebuilt():
    """Return the native modules, if they are those of these sources; see dicectl/firmware/prebuilt.py."""
    top = Path("firmware/native")
    hashed = hashlib.sha256()
    for path in sorted(path for path in top.rglob("*") if path.is_file()):
        hashed.update(path.relative_to(top).as_posix().encode() + b"\0" + path.read_bytes())
    for tool in TOOLS:
        hashed.update(Path(tool).read_bytes())
    files, said = sorted(PREBUILT.glob("*.mpy")), PREBUILT / "SOURCES"
    if files and said.is_file() and said.read_text().strip() == hashed.hexdigest():
        return files
    print("note: no native modules (_dice.mpy) in this wheel:", "they are of other sources" if files else "they are not compiled")
    print("note: `make native` compiles them; without them `dicectl deploy` needs a C compiler for public keys in C")
    return []


class BuildWithData(build_py):
    """Builds the packages afresh, so that no module of an earlier build gets in, and copies DATA."""

    def run(self):
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            data = [path for pattern in DATA for path in Path().glob(pattern) if path.is_file()]
            for source in data + prebuilt():
                if any(part.startswith((".", "__pycache__")) for part in source.parts):
                    continue
                target = Path(self.build_lib, "dicectl", "data", source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithData})
