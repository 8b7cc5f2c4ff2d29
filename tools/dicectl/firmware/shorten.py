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
import io
import keyword
import re
import string
import tokenize

from dicectl import resources
from dicectl.firmware import fold

_PRIVATE = re.compile(r"_[A-Za-z]\w+")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def table(lib):
    """Return {private name: short name} for the folder `lib`, sorted. A short name depends on the name, except if two are equal."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((lib / "dice").rglob("*.py"))}
    trees = [ast.parse(text, str(path)) for path, text in sources.items()]
    kept = {name for tree in trees for name in _kept(tree)} | {part for path in sources for part in (path.stem, path.parent.name)}
    names = {name for tree in trees for name in _defined(tree) if _PRIVATE.fullmatch(name)} - kept
    taken = {token.string for text in sources.values() for token in _names(text)} | {*dir(builtins), *keyword.kwlist, *kept}
    chosen = {}
    for name in sorted(names):
        tries = 0
        while (short := _short(name, tries)) in taken:
            tries += 1
        chosen[name] = short
        taken.add(short)
    return chosen


def checked(text, path):
    """Return the text of a file outside of the library with the private names of dice renamed; raises fold.FoldError."""
    names = fold.short_names(resources.LIB)
    kept, shorts = _kept(ast.parse(text, str(path))), set(names.values())
    for name in sorted(names.keys() & kept.keys()):
        raise fold.FoldError(f"{path}:{kept[name]}: {name} is renamed when dice is compiled, and cannot be renamed here")
    for token in _names(text):
        if token.string in shorts:
            raise fold.FoldError(f"{path}:{token.start[0]}: {token.string} is a short name of dice: choose another")
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


def _names(text):
    """Return the tokens that are names. Python before 3.12 has none within f-strings; _kept() has those."""
    return [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.NAME]


def _defined(tree):
    """Yield the names of functions, methods, classes, attributes, and variables of modules and classes; not constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
    waiting = [tree]
    for node in waiting:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, _SCOPES)]


def _kept(tree):
    """Return {name: line} of what must not be renamed.

    These are names in strings and f-strings, arguments and keywords, constants, and names of modules that are not of dice.
    """
    found, foreign = {}, {"sys"}
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in documentation:
            names = re.findall(r"\w+", node.value if isinstance(node.value, str) else node.value.decode("latin-1"))
        elif isinstance(node, ast.JoinedStr):
            names = [getattr(inner, "id", getattr(inner, "attr", "")) for inner in ast.walk(node)]
        elif isinstance(node, ast.arg | ast.keyword):
            names = [node.arg]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "const":
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Import):
            foreign |= {(alias.asname or alias.name).split(".")[0] for alias in node.names if alias.name.split(".")[0] != "dice"}
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] != "dice":
            foreign |= {alias.asname or alias.name for alias in node.names}
            names = [alias.name for alias in node.names]
        found.update({name: getattr(node, "lineno", 0) for name in names if name})
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in foreign:
                found[node.attr] = node.lineno
    return found
