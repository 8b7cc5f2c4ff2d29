# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A constant has one home and is imported from there, so that it can be folded when dice is compiled for a board."""

import ast
import functools
from pathlib import Path

from dicectl.firmware import fold, profiles
from host_tests.each import each

ROOT = Path(__file__).resolve().parents[2]
LIB = ROOT / "lib"
FILES = sorted((LIB / "dice").rglob("*.py"))
ON_BOARDS = [*FILES, *(path for folder in ("firmware", "tools/dicectl/on_device") for path in (ROOT / folder).rglob("*.py"))]
PORTABLE = sorted((ROOT / "host_tests" / "portable").glob("*.py"))
HOMES = [path for path in FILES if fold.only_constants(path)]
CONSTANTS = {path: fold.constants(path) for path in FILES}
each_file = each(FILES)
each_on_board = each([*ON_BOARDS, *PORTABLE])


@functools.lru_cache(None)
def consts(path):
    """Return [(name, source of the value)] of each `NAME = const(...)` of a file."""
    return [
        (node.targets[0].id, ast.unparse(node.value.args[0]))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "const"
    ]


@functools.lru_cache(None)
def imports(path):
    """Return [(file of dice, file of a module in it or None, alias, statement)] of each name that a file imports with `from`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or node.module.split(".")[0] == "dice"):
            folder = path.parents[node.level - 1] if node.level else LIB
            place = folder.joinpath(*node.module.split(".")) if node.module else folder
            home = place.with_suffix(".py") if node.module and place.with_suffix(".py").is_file() else place / "__init__.py"
            for alias in node.names:
                module = place / f"{alias.name}.py"
                found.append((home, module if module.is_file() else None, alias, node))
    return found


def test_the_homes_of_constants_hold_only_constants():
    """Each line is NAME = const(literal)."""
    assert [path.name for path in HOMES] == ["_typing.py", "codes.py", "limits.py", "reasons.py"]
    for path in HOMES:
        others = [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.Assign)]
        assert [type(node) for node in others] == [ast.Expr, ast.ImportFrom]  # the docstring, and the import of const
        assert len(CONSTANTS[path]) == len(consts(path))


def test_no_profile_ships_the_homes_of_constants():
    names = {path.relative_to(LIB).as_posix() for path in HOMES}
    assert not names & {file for profile in profiles.names() for file in profiles.files(profile, unix=True)}


@each(HOMES)
def test_every_constant_is_used(path):
    used = {alias.name for user in FILES for home, _, alias, _ in imports(user) if home == path}
    assert not set(CONSTANTS[path]) - used


@each_file
def test_no_constant_is_defined_twice(path):
    """No private constant has the name of one with a home, or is defined in two modules."""
    for name, value in consts(path):
        others = [other for other in FILES if other != path]
        homes = [other.name for other in others if name.removeprefix("_") in CONSTANTS[other]]
        assert not homes, f"{name}: import it from {homes}"
        twins = [other.name for other in others if (name, value) in consts(other)]
        assert not twins, f"{name} is defined in {twins} too: give it a home"


def test_no_constant_has_two_homes():
    names = [name for path in HOMES for name in CONSTANTS[path]]
    assert len(set(names)) == len(names)


@each_on_board
def test_no_constant_is_read_through_its_module(path):
    """On a board `module.NAME` does not exist: NAME has been folded in that module, or the module is not shipped."""
    tree = ast.parse(path.read_text())
    modules = {alias.asname or alias.name: module for _, module, alias, _ in imports(path) if module}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            assert node.attr not in CONSTANTS[modules[node.value.id]], f"line {node.lineno}: {ast.unparse(node)}"


@each_on_board
def test_constants_are_imported_from_their_home(path):
    """Not from a module that imports the constant itself: the folded module does not contain it."""
    for home, _, alias, node in imports(path):
        if alias.name.isupper() and alias.name not in CONSTANTS.get(home, ()):
            passed_on = {inner.asname or inner.name for _, _, inner, _ in imports(home)}
            assert alias.name not in passed_on, f"line {node.lineno}: {alias.name} does not have its home in {home.name}"


@each_on_board
def test_all_imported_constants_are_folded(path):
    """No constant of dice is imported any more, in dice and in scripts for boards, even if its home is shipped."""
    text = fold.fold(path.read_text(), path, LIB)
    left = [
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        for home, _, alias, _ in imports(path)
        if alias.name in CONSTANTS.get(home, ()) and alias.name in [name.name for name in node.names]
    ]
    assert not left


@each([path for path in ON_BOARDS if path.is_relative_to(ROOT / "firmware")])
def test_programs_for_boards_work_without_folding(path):
    """The programs that users copy to a board import only from modules that the board has."""
    assert not [alias.name for home, _, alias, _ in imports(path) if home in HOMES]
