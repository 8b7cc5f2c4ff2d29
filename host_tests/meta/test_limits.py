# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""dice.limits is the home of every bound, dice.errors of every event, group.gsa of its values: private constants of those names,
which take no space, agree."""

import ast
from pathlib import Path

import pytest

from dice import errors, limits
from dice.group import gsa

LIB = Path(__file__).resolve().parents[2] / "lib" / "dice"
FILES = [path for path in sorted(LIB.rglob("*.py")) if path.name not in ("limits.py", "errors.py")]
BOUNDS = {name: value for name, value in vars(limits).items() if name.isupper()}
EVENTS = {name: value for name, value in vars(errors).items() if name.isupper() and not name.startswith("_")}
OF_A_GSA = {name: value for name, value in vars(gsa).items() if name in ("K08", "D00", "DERIVE_SENDER", "DERIVE_SHARED")}
HOMES = {**BOUNDS, **EVENTS, **OF_A_GSA}


def copies(path):
    """Yield (name, value) of each private constant of a module that is named like a bound."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id.removeprefix("_")
            if name in HOMES and node.targets[0].id.startswith("_"):
                call = node.value
                assert isinstance(call, ast.Call) and ast.unparse(call.func) == "const", f"{path.name}: {ast.unparse(node)}"
                yield name, eval(compile(ast.Expression(call.args[0]), path.name, "eval"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LIB).as_posix())
def test_copies_agree(path):
    for name, value in copies(path):
        assert value == HOMES[name], name


def test_there_are_some():
    assert dict(copies(LIB / "group" / "member.py"))["GRACE_MS"] == limits.GRACE_MS
    assert dict(copies(LIB / "group" / "member.py"))["CLASH"] == errors.CLASH
    assert len(EVENTS) == 6 and len(OF_A_GSA) == 4
    assert dict(copies(LIB / "group" / "context.py"))["K08"] == gsa.K08
    assert dict(copies(LIB / "replay.py")) == {"WINDOW_RECORDS": 64}


@pytest.mark.parametrize("name", BOUNDS)
def test_each_is_used(name):
    assert any(name in path.read_text() for path in FILES)
