# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Adds data to what pyproject.toml describes: files from outside of the package dicectl; dicectl.resources finds them in data/."""

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
    "tools/dicectl/on_device/*.py",
    "tools/dicectl/monitoring/*",
    "docs/footprint.json",
    "docs/measured/*.json",
)


class BuildWithData(build_py):
    """Builds the packages afresh, so that no module of an earlier build gets in, and copies DATA."""

    def run(self):
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for source in (path for pattern in DATA for path in Path().glob(pattern) if path.is_file()):
                if any(part.startswith((".", "__pycache__")) for part in source.parts):
                    continue
                target = Path(self.build_lib, "dicectl", "data", source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithData})
