# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Replaces imports of constants by the constants themselves, which mpy-cross compiles away.

    from .limits import GRACE_MS, SENDERS_MAX       ->      _GRACE_MS = const(60_000); _SENDERS_MAX = const(50)

mpy-cross folds a constant only if it is `_PRIVATE = const(literal)` in the same file. With this, a constant has one home, other
modules import it from there, and it takes no space on a board. A home that has only constants is not shipped. Line numbers do not
change. The result does not import `const` either: the compiler knows it, and a needless import takes 8 to 14 bytes of a module.

rename() gives private names of the library short ones, which lib/short_names.json lists; shorten.py explains it. parameters() gives
parameters that no caller names those of attributes, since a .mpy file contains the names of parameters too.

This file needs only the standard library: lib/manifest.py runs it within MicroPython's makemanifest.py, without dicectl.
"""

import ast
import functools
import io
import json
import os
import string
import tokenize
from pathlib import Path

_LIBRARY = "dice"
_SHORT_NAMES = "short_names.json"
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.LShift, ast.RShift, ast.BitOr, ast.BitAnd, ast.BitXor)


class FoldError(ValueError):
    """A constant that cannot be folded; the message has the place and the reason."""


def fold(text, path, lib=None):
    """Return the text of the Python file `path` with its imports of constants folded; raises FoldError.

    Relative imports are resolved from `path`, imports of `dice` in the folder `lib`; other imports do not change. A name that
    cannot become a private constant stays imported if its home is shipped, and raises FoldError if it is not.
    """
    return _fold(text, path, lib)[0]


def constants(path):
    """Return {name: source of its value} of each public `NAME = const(literal)` at the top level of a file."""
    return _home(str(path), os.stat(path).st_mtime_ns)[0]


def only_constants(path):
    """Return whether a file of dice itself has only constants. It is not shipped. One in a folder is: programs may import it."""
    return Path(path).parent.name == _LIBRARY and _home(str(path), os.stat(path).st_mtime_ns)[1]


def short_names(lib):
    """Return {private name: short name} of the library in the folder `lib`; none if it has no table."""
    path = Path(lib, _SHORT_NAMES)
    return _table(str(path), os.stat(path).st_mtime_ns) if path.exists() else {}


def rename(text, names):
    """Return a text with these names replaced, {old: new}, wherever they are names: not in strings and comments."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [(*token.start, token.string) for token in tokens if token.type == tokenize.NAME and token.string in names]
    return _replace(text, [(*place, names[place[-1]]) for place in found])


def parameters(text):
    """Return a text of the library in which parameters that callers give by position have names that the file contains anyway.

    These are the parameters of private functions and methods, and those without a default if there are no annotations; callers must
    not name them. (Whatever has an annotation belongs to the public face.) The new names are those of attributes; if they are not
    enough, a, b, c, ...
    """
    tree = ast.parse(text)
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    kept = _formatted(tree).keys() | attributes
    names = [*sorted(name for name in attributes if name[0].islower()), *string.ascii_lowercase]
    found = {}  # (row, column): (old name, new name)
    for parent in ast.walk(tree):
        functions = parent.body if isinstance(parent, ast.Module | ast.ClassDef) else ()
        for function in functions:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and not function.decorator_list:
                short = _short_parameters(function, kept, names)
                for node in ast.walk(function):
                    old = getattr(node, "id", getattr(node, "arg", None))
                    if old in short and isinstance(node, ast.Name | ast.arg):
                        found[node.lineno, node.col_offset] = old, short[old]
    lines = [line.encode() for line in io.StringIO(text).readlines()]
    return _replace(text, sorted((row, len(lines[row - 1][:at].decode()), *both) for (row, at), both in found.items()))


def positional(function):
    """Return the names of parameters that parameters() may rename: callers must give them by position."""
    arguments = function.args
    found = arguments.args
    if not function.name.startswith("_") or function.name.endswith("__"):
        if function.returns or any(argument.annotation for argument in found):
            return []
        found = found[: len(found) - len(arguments.defaults)]
    return [argument.arg for argument in found if argument.arg not in ("self", "cls")]


def _short_parameters(function, kept, names):
    """Return {parameter: new name} of one function; parameters in `kept` stay, because their names stay in the file."""
    others = []  # names that are bound otherwise than by an assignment
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            others.append(node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            others += node.names
        elif isinstance(node, ast.ExceptHandler | ast.alias):
            others.append(getattr(node, "asname", None) or node.name)
    used = {*others, *(node.id for node in ast.walk(function) if isinstance(node, ast.Name))}
    free = (name for name in names if name not in used)
    once = [name for name in positional(function) if others.count(name) == 1 and name not in kept and len(name) > 1]
    return {name: next(free) for name in once}


def copy(lib, names, target):
    """Write copies of the files `names` of the folder `lib`, folded and with short names, to the folder `target`.

    A copy gets the modification time of the newest file that it is made from, so that make sees every change.
    """
    for name in names:
        source, result = Path(lib, name), Path(target, name)
        text, homes = _fold(source.read_text(encoding="utf-8"), source, lib)
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(rename(parameters(text), short_names(lib)), encoding="utf-8")
        tables = [path for path in (Path(lib, _SHORT_NAMES),) if path.exists()]
        newest = max(os.stat(path).st_mtime_ns for path in (source, *homes, *tables, __file__))
        os.utime(result, ns=(newest, newest))


def _fold(text, path, lib):
    """Return (the folded text, the homes of what was folded)."""
    tree = ast.parse(text, str(path))
    folded = _Imports(tree, Path(path), Path(lib) if lib else None).folded
    return _rewrite(text, tree, folded, _needless(tree)), {home for _, _, _, home in folded}


@functools.lru_cache(None)
def _table(path, _modified):
    return json.loads(Path(path).read_text(encoding="utf-8"))


@functools.lru_cache(None)
def _home(path, _modified):
    found = {}
    text = Path(path).read_text(encoding="utf-8")
    only = True
    for node in ast.parse(text, path).body:
        name = node.targets[0].id if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else ""
        value = _literal(node.value) if name else None
        if value is None:
            docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            only = only and (docstring or (isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["const"]))
        elif name.startswith("_"):
            only = False
        else:
            found[name] = ast.get_source_segment(text, value)
    return found, only and bool(found)


def _literal(node, known=()):
    """Return the argument of a call const(literal), or None for other nodes. Names in `known` count as literals."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "const" and len(node.args) == 1 and not node.keywords):
        return None
    return node.args[0] if _is_literal(node.args[0], known) else None


def _is_literal(node, known):
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _OPERATORS) and _is_literal(node.left, known) and _is_literal(node.right, known)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.Invert) and _is_literal(node.operand, known)
    if isinstance(node, ast.Name):
        return node.id in known
    return isinstance(node, ast.Constant) and type(node.value) is int


class _Imports:
    """The constants that a file imports: `folded` lists (import statement, alias, source of the value, home)."""

    def __init__(self, tree, path, lib):
        self.path, self.lib = path, lib
        self.folded = []
        found = []
        taken = _bound(tree)  # names with another meaning somewhere in the file
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._refuse_whole(node, self._file(alias.name, 0))
            if not isinstance(node, ast.ImportFrom):
                continue
            home = self._file(node.module, node.level)
            offered = constants(home) if home else {}
            for alias in node.names:
                self._refuse_whole(node, home if alias.name == "*" else self._submodule(node, alias.name))
                if alias.name in offered:
                    found.append((node, alias, offered[alias.name], home))
                else:
                    taken[alias.asname or alias.name] = node.lineno
        formatted, present = _formatted(tree), {**taken, **_read(tree)}
        for node, alias, value, home in found:
            name, private = alias.asname or alias.name, _private(alias)
            others = [entry for entry in found if (entry[1].asname or entry[1].name) == name and entry[2:] != (value, home)]
            if others:
                why = f"it is imported from elsewhere in line {others[0][0].lineno}"
            elif name in taken:
                why = f"{name} is bound in line {taken[name]} too"
            elif name in formatted:
                why = f"{name} stands in an f-string in line {formatted[name]}"
            elif private != name and private in present:
                why = f"the name {private} is taken"
            else:
                self.folded.append((node, alias, value, home))
                continue
            if only_constants(home):
                raise FoldError(f"{path}:{node.lineno}: {alias.name} of {home.name} cannot be folded: {why}")

    def _refuse_whole(self, node, home):
        if home and only_constants(home):
            raise FoldError(f"{self.path}:{node.lineno}: import constants by name: no board has {home.name}")

    def _file(self, module, level):
        """Return the file of an imported module of dice, or None."""
        parts = module.split(".") if module else []
        if level:
            folder = self.path.parents[level - 1] if level <= len(self.path.parents) else None
        else:
            folder = self.lib if parts[:1] == [_LIBRARY] else None
        if folder is None:
            return None
        places = (folder.joinpath(*parts, "__init__.py"), folder.joinpath(*parts).with_suffix(".py") if parts else None)
        return next((place for place in places if place and place.is_file()), None)

    def _submodule(self, node, name):
        return self._file(f"{node.module}.{name}" if node.module else name, node.level)


def _private(alias):
    name = alias.asname or alias.name
    return name if name.startswith("_") else f"_{name}"


def _bound(tree):
    """Return {name: line} of all names that a file binds otherwise than by `from ... import`."""
    found = {}
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names = [node.id]
        elif isinstance(node, ast.arg):
            names = [node.arg]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names = node.names
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names = [node.name]
        elif isinstance(node, ast.Import):
            names = [alias.asname or alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            names = [node.name]
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names = [node.rest]
        found.update({name: getattr(node, "lineno", 0) for name in names})
    return found


def _read(tree):
    return {node.id: node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _formatted(tree):
    """Return {name: line} of the names in f-strings. Before Python 3.12 their positions are unknown."""
    return {
        inner.id: string.lineno
        for string in ast.walk(tree)
        if isinstance(string, ast.JoinedStr)
        for inner in ast.walk(string)
        if isinstance(inner, ast.Name)
    }


def _needless(tree):
    """Return [(import statement, alias)] of `const` if the compiler folds every call of it, and [] if not."""
    folded, known = set(), set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _literal(node.value, known):
            folded.add(node.value.func)
            known.add(node.targets[0].id)
    used = {node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "const"}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in ("micropython", "_compat")]
    return [(node, alias) for node in imports for alias in node.names if alias.name == "const" and used == folded]


def _rewrite(text, tree, folded, needless):
    renamed = {alias.asname or alias.name: _private(alias) for _, alias, _, _ in folded}
    text = _replace(text, [(*place, renamed[place[-1]]) for place in sorted(_places(text, tree, renamed))])
    lines = io.StringIO(text).readlines()
    done = set()
    gone = {alias for _, alias in needless}
    for node in sorted({node for node, *_ in [*folded, *needless]}, key=lambda node: node.lineno):
        ours = {alias: value for statement, alias, value, _ in folded if statement is node}
        rest = [
            f"{alias.name} as {alias.asname}" if alias.asname else alias.name
            for alias in node.names
            if alias not in gone | set(ours)
        ]
        said = [f"from {'.' * node.level}{node.module or ''} import {', '.join(rest)}"] if rest else []
        for alias, value in ours.items():
            if _private(alias) not in done:  # one definition serves the whole file
                done.add(_private(alias))
                said.append(f"{_private(alias)} = const({' '.join(value.split())})")
        first, last = node.lineno - 1, node.end_lineno - 1
        head = lines[first].encode()[: node.col_offset].decode()
        tail = lines[last].encode()[node.end_col_offset :].decode()
        lines[first : last + 1] = [head + "; ".join(said or ["pass"] * bool(head)) + tail, *["\n"] * (last - first)]
    return "".join(lines)


def _replace(text, places):
    """Return a text with names replaced; `places` lists (row, column, old name, new name) in order."""
    lines = io.StringIO(text).readlines()
    for row, column, old, new in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new + line[column + len(old) :]
    return "".join(lines)


def _places(text, tree, names):
    """Yield (row, column, name) of each use of `names` as a variable: not as an attribute, as a keyword, or in a string."""
    lines = io.StringIO(text).readlines()
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            used.add((node.lineno, len(lines[node.lineno - 1].encode()[: node.col_offset].decode())))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.NAME and token.start in used:
            yield *token.start, token.string
