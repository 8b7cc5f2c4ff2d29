# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""All attributes of an object are assigned in the `__init__` of its class or of a base, so that one place lists them all."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def assigned(function):
    """Yield the names of the attributes of its first argument that a method assigns."""
    this = function.args.args[0].arg if function.args.args else None
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for inner in [inner for target in targets if target for inner in ast.walk(target)]:
            stored = isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store)
            if stored and getattr(inner.value, "id", None) == this:
                yield inner.attr


def late(classes, others=()):
    """Return {class.attribute: method} of attributes that a method assigns, but no `__init__` or class body.

    Bases are looked up in `classes`, then in `others`.
    """
    known = {**dict(others), **classes}
    found = {}
    for name, node in classes.items():
        born, waiting = set(), [name]
        while waiting:
            base = known.get(waiting.pop())
            for item in base.body if base else ():
                if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    born.update(assigned(item))
                elif isinstance(item, ast.Assign):
                    born.update(target.id for target in item.targets if isinstance(target, ast.Name))
            waiting += [getattr(parent, "id", "") for parent in base.bases] if base else []
        for item in node.body:
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                found.update({f"{name}.{attribute}": item.name for attribute in assigned(item) if attribute not in born})
    return found


def classes_of(*texts):
    return {node.name: node for text in texts for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}


@pytest.mark.parametrize("folder", ["lib/dice", "tools", "firmware"])
def test_every_attribute_is_assigned_in_init(folder):
    """In each file, because two files may each have a class of the same name."""
    files = {path: classes_of(path.read_text()) for path in sorted((ROOT / folder).rglob("*.py"))}
    everywhere = {name: node for classes in files.values() for name, node in classes.items()}
    assert everywhere
    found = {path.relative_to(ROOT).as_posix(): late(classes, everywhere) for path, classes in files.items()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("assignment", ["self.a = 1", "self.a, b = 1, 2", "self.a += 1", "for self.a in b: pass"])
def test_an_attribute_assigned_elsewhere_is_found(assignment):
    base = "class A:\n    def __init__(self):\n        self.b = 1\n"
    text = f"{base}class B(A):\n    def f(self):\n        self.b = 2\n        {assignment}\n"
    assert late(classes_of(text)) == {"B.a": "f"}


def test_a_base_in_another_file_is_found():
    base = classes_of("class A:\n    def __init__(self):\n        self.b = 1\n")
    assert late(classes_of("class B(A):\n    def f(self):\n        self.b = 2\n"), base) == {}
