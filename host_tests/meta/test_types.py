# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The types of the public face: programs of users type-check, typical mistakes do not, and the names are those of dice.names."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dice
from dice import errors, names
from dicectl.firmware import mpy, profiles
from tools import api_page

CASES = Path(__file__).with_name("typing_cases")
FOUND = re.compile(r"(\w+)\.py:(\d+): error: .*\[([\w-]+)\]")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Return {(file, line, kind)} of all errors that mypy finds in the cases, with dice as installed."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental"]
    config = tmp_path_factory.mktemp("mypy") / "mypy.ini"
    config.write_text(f"[mypy]\nmypy_path = {profiles.LIB}\n[mypy-dice.*]\nignore_errors = True\n")
    files = [str(CASES / "right.py"), str(CASES / "wrong.py")]
    done = subprocess.run([*command, "--config-file", str(config), *files], capture_output=True, text=True, env=os.environ)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    return {(name, int(line), kind) for name, line, kind in FOUND.findall(done.stdout)}


def test_programs_of_users_have_the_right_types(found):
    assert not [error for error in found if error[0] == "right"]


def test_typical_mistakes_are_type_errors(found):
    """Each of them is found at its line, and no other."""
    wanted = set()
    for number, line in enumerate((CASES / "wrong.py").read_text().splitlines(), 1):
        _, mark, kinds = line.partition("# wrong: ")
        wanted.update(("wrong", number, kind) for kind in kinds.split() if mark)
    assert len(wanted) > 12
    assert {error for error in found if error[0] == "wrong"} == wanted


def test_type_checkers_and_programs_know_the_same_names():
    stub = ast.parse((profiles.LIB / "dice" / "__init__.pyi").read_text())
    homes = {alias.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    offered = {name: line.split(" ")[0] for line in names._OFFERED.split(",") for name in line.split(" ")[1:]}
    codes = ast.parse((profiles.LIB / "dice" / "coap" / "codes.py").read_text())
    assigned = [node.targets[0].id for node in codes.body if isinstance(node, ast.Assign)]
    offered.update({name: "coap.codes" for name in assigned if not name.startswith("_")})
    offered.update({name: "errors" for name in vars(errors) if name.endswith("Error")})
    assert homes == offered
    assert all(hasattr(dice, name) for name in homes)


class WithoutAnnotations(ast.NodeTransformer):
    """Removes annotations, and the imports that only they need, from a module."""

    def visit_If(self, node):
        self.generic_visit(node)
        return None if ast.unparse(node.test) == "_TYPING" else node

    def visit_AnnAssign(self, node):
        return ast.Assign([node.target], node.value, lineno=node.lineno) if node.value else None

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.returns = None
        return node

    visit_AsyncFunctionDef = visit_FunctionDef


@pytest.mark.parametrize(
    "file", [file for file in profiles.files() if file.split("/")[1] in ("aio", "coap", "transport", "store.py")]
)
def test_annotations_take_no_bytes_on_a_board(file, tmp_path):
    """A module compiles to the same bytes without its annotations and the imports that they need."""
    text = mpy.folded(profiles.LIB / file).decode()
    plain = WithoutAnnotations().visit(ast.parse(text))
    sizes = []
    for tree in (ast.parse(text), plain):
        path = tmp_path / "module.py"
        path.write_text(ast.unparse(tree))
        sizes.append(mpy.compile_here(path, "module.py", "armv6m"))
    assert sizes[0] == sizes[1]


def test_the_api_page_describes_all_names():
    """docs/api.md, except for the codes of CoAP, which it describes together."""
    described = {name for _, name in api_page.names()}
    offered = {name for line in names._OFFERED.split(",") for name in line.split(" ")[1:]}
    assert not offered - described
    assert not {name for name in vars(errors) if name.endswith("Error")} - described
