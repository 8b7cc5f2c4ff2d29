# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The version has one home, lib/dice/__init__.py."""

import json
import re
from pathlib import Path

import dice

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "lib" / "dice" / "__init__.py"
SUFFIXES = {".py", ".toml", ".cfg", ".yml", ".yaml", ".json", ".mk"}
LITERAL = re.compile(r"(?<![\d.])" + re.escape(dice.__version__) + r"(?![\d.])")


def sources():
    """Yield the files that could contain a version, except the generated package.json and lib/mip."""
    yield ROOT / "Makefile"
    for top in ROOT.iterdir():
        if top.is_file():
            candidates = [top]
        elif top.name in ("lib", "tools", "firmware", "boards", "host_tests"):
            candidates = sorted(path for path in top.rglob("*") if ROOT / "lib" / "mip" not in path.parents)
        else:
            candidates = []
        yield from (path for path in candidates if path.suffix in SUFFIXES and path.name != "package.json")


def test_the_version_is_written_in_one_file_only():
    assert [path for path in sources() if LITERAL.search(path.read_text())] == [HOME]
    assert len(LITERAL.findall(HOME.read_text())) == 1


def test_the_version_has_three_numbers():
    assert re.fullmatch(r"\d+\.\d+\.\d+", dice.__version__)


def test_the_changelog_has_an_entry_for_the_version():
    assert LITERAL.search((ROOT / "CHANGELOG.md").read_text())


def test_package_json_has_the_version():
    assert json.loads((ROOT / "package.json").read_text())["version"] == dice.__version__
