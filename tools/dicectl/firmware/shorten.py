# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""The short names that private names of dice get when it is compiled.

    self._retransmit_ms  ->  self.hQ        if lib/short_names.json has {"_retransmit_ms": "hQ"}

A .mpy file contains each of its names. table() makes lib/short_names.json from the sources, tools/generate.py writes it, and
fold.rename() applies it to the files of the library. A private name that is not in the table stays as it is, which works as well.
Scripts and tests that reach private attributes are compiled with checked(), which refuses what cannot be renamed. Programs of users
are not renamed.
"""

import ast
import builtins
import hashlib
import keyword
import re
import string

from dicectl import resources
from dicectl.firmware import fold

_PRIVATE = re.compile(r"_[A-Za-z]\w+")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def table(lib):
    """Return {private name: short name} for the folder `lib`, sorted. A short name depends on the name, except if two are equal."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((lib / "dice").rglob("*.py"))}
    trees = [ast.parse(text, str(path)) for path, text in sources.items()]
    nodes = [fold.nodes_of(tree) for tree in trees]
    kept = {name for inner in nodes for name in _kept(inner)} | {part for path in sources for part in (path.stem, path.parent.name)}
    defined = {name for tree, inner in zip(trees, nodes) for name in _defined(tree, inner)}
    names = {name for name in defined if _PRIVATE.fullmatch(name)} - kept
    words = {found[0] for text in sources.values() for found in fold.WORDS.finditer(text)}
    taken = words | {*dir(builtins), *keyword.kwlist, *kept}
    chosen = {}
    for name in sorted(names):
        tries = 0
        while (short := _short(name, tries)) in taken:
            tries += 1
        chosen[name] = short
        taken.add(short)
    return chosen


def checked(text, path, lib):
    """Return the folded text of a file outside of the library with the private names of dice renamed; raises fold.FoldError."""
    text = fold.fold(text, path, lib)
    names = fold.short_names(lib)
    kept, shorts = _kept(fold.nodes_of(ast.parse(text, str(path)))), set(names.values())
    for name in sorted(names.keys() & kept.keys()):
        raise fold.FoldError(f"{path}:{kept[name]}: {name} is renamed when dice is compiled, and cannot be renamed here")
    for word in fold.WORDS.finditer(text):
        if word[0] in shorts:
            row = text.count("\n", 0, word.start()) + 1
            raise fold.FoldError(f"{path}:{row}: {word[0]} is a short name of dice: choose another")
    return fold.rename(text, names)


def original(short):
    """Return the private name of dice that a board's traceback shows as `short`, or None."""
    return {value: name for name, value in fold.short_names(resources.LIB).items()}.get(short)


def _short(name, tries):
    """Return two letters, one of them a capital."""
    number = int.from_bytes(hashlib.sha256(f"{name} {tries}".encode()).digest()[:8], "big")
    first, second, swap = number % 26, number // 26 % 26, number // 676 % 2
    pair = string.ascii_lowercase[first] + string.ascii_uppercase[second]
    return pair[::-1] if swap else pair


def _defined(tree, nodes):
    """Yield the names of functions, methods, classes, attributes, and variables of modules and classes; not constants."""
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        yield from (node.name for node in nodes[kind])
    yield from (node.attr for node in nodes[ast.Attribute] if isinstance(node.ctx, ast.Store))
    waiting = [tree]
    for node in waiting:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, _SCOPES)]


def _kept(nodes):
    """Return {name: line} of what must not be renamed.

    These are names in strings and f-strings, arguments and keywords, constants, and names of modules that are not of dice.
    """
    found = {node.arg: node.lineno for node in nodes[ast.arg] + nodes[ast.keyword] if node.arg}
    documentation = {id(node.value) for node in nodes[ast.Expr]}
    for node in nodes[ast.Constant]:
        if isinstance(node.value, str | bytes) and id(node) not in documentation:
            text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            found.update((name, node.lineno) for name in re.findall(r"\w+", text))
    for formatted in nodes[ast.JoinedStr]:
        inner = fold.nodes_of(formatted)
        found.update((node.id, formatted.lineno) for node in inner[ast.Name])
        found.update((node.attr, formatted.lineno) for node in inner[ast.Attribute])
    for node in nodes[ast.Assign]:
        if isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "const":
            found.update((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))
    foreign = {"sys"}
    for node in nodes[ast.Import]:
        foreign |= {(alias.asname or alias.name).split(".")[0] for alias in node.names if alias.name.split(".")[0] != "dice"}
    for node in nodes[ast.ImportFrom]:
        if not node.level and (node.module or "").split(".")[0] != "dice":
            foreign |= {alias.asname or alias.name for alias in node.names}
            found.update((alias.name, node.lineno) for alias in node.names)
    for node in nodes[ast.Attribute]:
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root.id in foreign:
            found[node.attr] = node.lineno
    return found
