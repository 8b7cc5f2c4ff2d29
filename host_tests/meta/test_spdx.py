# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Every source file begins with the two SPDX lines, and every Python file has a docstring."""

import re
from pathlib import Path

from host_tests.each import each

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
DOCSTRING = re.compile(r'(?:#[^\n]*\n)?\s*"""(?!\s*""")(?:(?!""").)*"""$', re.DOTALL | re.MULTILINE)


@each(FILES)
def test_python_files_begin_with_spdx_lines_and_a_docstring(path):
    head = "# SPDX-FileCopyrightText: 2026 The dice authors\n# SPDX-License-Identifier: MIT\n"
    text = path.read_text()
    assert text.startswith(head)
    assert DOCSTRING.match(text, len(head)), "no docstring"


@each(OTHERS)
def test_other_source_files_begin_with_spdx_lines(path):
    lines = path.read_text().splitlines()
    if lines[0].startswith("#!"):
        lines.pop(0)
    assert re.fullmatch(r"(#|//) SPDX-FileCopyrightText: 2026 The dice authors", lines[0])
    assert re.fullmatch(r"(#|//) SPDX-License-Identifier: MIT", lines[1])


def test_the_checked_files_include_all_kinds():
    assert len(FILES) > 30
    names = {str(path.relative_to(ROOT)) for path in OTHERS}
    assert {"Makefile", "pyproject.toml", ".ci/run", "boards/boards.toml"} <= names


def test_the_licence_is_mit():
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
