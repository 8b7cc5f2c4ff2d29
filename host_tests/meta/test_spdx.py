# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every source file opens with two SPDX lines, and every Python file with a docstring after them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("lib", "tools", "firmware", "boards", "host_tests")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
OTHERS = sorted(
    [ROOT / "Makefile", *ROOT.glob("*.toml"), *(path for path in (ROOT / ".ci").rglob("*") if path.is_file())]
    + [
        path
        for folder in FOLDERS
        for kind in ("toml", "cmake", "c", "h", "mk", "sh")
        for path in (ROOT / folder).rglob("*." + kind)
    ]
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_head(path):
    text = path.read_text()
    lines = text.splitlines()
    assert lines[0] == "# SPDX-FileCopyrightText: 2026 The dice authors"
    assert lines[1] == "# SPDX-License-Identifier: MIT"
    assert ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_head_of_what_is_not_python(path):
    lines = path.read_text().splitlines()
    if lines[0].startswith("#!"):
        lines.pop(0)
    assert re.fullmatch(r"(#|//) SPDX-FileCopyrightText: 2026 The dice authors", lines[0])
    assert re.fullmatch(r"(#|//) SPDX-License-Identifier: MIT", lines[1])


def test_there_are_files():
    assert len(FILES) > 30
    names = {str(path.relative_to(ROOT)) for path in OTHERS}
    assert {"Makefile", "pyproject.toml", ".ci/run", "boards/boards.toml"} <= names


def test_licence_file():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
