# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Replaces imports of constants by the constants themselves, which mpy-cross compiles away.

    from .limits import GRACE_MS, SENDERS_MAX       ->      _GRACE_MS = const(60_000); _SENDERS_MAX = const(50)

mpy-cross folds a constant only if it is `_PRIVATE = const(literal)` in the same file. With this, a constant has one home, other
modules import it from there, and it takes no space on a board. A home that has only constants is not shipped. Line numbers do not
change. The result does not import `const` either: the compiler knows it, and a needless import takes 8 to 14 bytes of a module.

shortened() also gives private names of the library short ones, which lib/short_names.json lists; shorten.py explains it. Parameters
that no caller names get names of attributes, since a .mpy file contains the names of parameters too.

This file needs only the standard library: lib/manifest.py runs it within MicroPython's makemanifest.py, without dicectl.
"""

import ast
import collections
import functools
import io
import json
import os
import re
import string
from pathlib import Path

_LIBRARY = "dice"
_SHORT_NAMES = "short_names.json"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.LShift, ast.RShift, ast.BitOr, ast.BitAnd, ast.BitXor)
# Only a file with a match has constants for others: the other files need not be parsed.
_CONSTANT = re.compile(r"\b[^\W_]\w*[\s\\]*=[\s\\(]*const\b")
# A comment, a string or a word.
WORDS = re.compile(r"""#[^\n]*|(?:\b[A-Za-z]{1,2})?("{3}|'{3}|["'])(?:\\.|[^\\])*?\1|\w+""", re.DOTALL)


class FoldError(ValueError):
    """A constant that cannot be folded; the message has the place and the reason."""


def fold(text, path, lib=None):
    """Return the text of the Python file `path` with its imports of constants folded; raises FoldError.

    Relative imports are resolved from `path`, imports of `dice` in the folder `lib`; other imports do not change. A name that
    cannot become a private constant stays imported if its home is shipped, and raises FoldError if it is not.
    """
    return _fold(text, path, lib)[0]


def shortened(text, path, lib):
    """Return the text of the file `path` of the library in the folder `lib` as boards get it; raises FoldError.

    Its constants are folded, its private names are short, and parameters that callers give by position have names that the file
    contains anyway. These are the parameters of private functions and methods, and those without a default if there are no
    annotations; callers must not name them. (Whatever has an annotation belongs to the public face.) The new names are those of
    attributes; if they are not enough, a, b, c, ...
    """
    return _shortened(text, path, lib)[0]


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
    return WORDS.sub(lambda found: names.get(found[0], found[0]), text)


def nodes_of(tree):
    """Return {class: its nodes} of a syntax tree. One walk serves for all questions, since it takes longer than they do."""
    found = collections.defaultdict(list)
    waiting = [tree]
    for node in waiting:
        found[type(node)].append(node)
        for name in node._fields:
            child = getattr(node, name, None)
            if isinstance(child, list):
                waiting += [inner for inner in child if isinstance(inner, ast.AST)]
            elif isinstance(child, ast.AST):
                waiting.append(child)
    return found


def positional(function):
    """Return the names of parameters that shortened() may rename: callers must give them by position."""
    arguments = function.args
    found = arguments.args
    if not function.name.startswith("_") or function.name.endswith("__"):
        if function.returns or any(argument.annotation for argument in found):
            return []
        found = found[: len(found) - len(arguments.defaults)]
    return [argument.arg for argument in found if argument.arg not in ("self", "cls")]


def _parameters(tree, nodes):
    """Yield (row, column in bytes, name, new name) of each use of a parameter that shortened() renames."""
    attributes = {node.attr for node in nodes[ast.Attribute]}
    kept = _formatted(nodes).keys() | attributes
    names = [*sorted(name for name in attributes if name[0].islower()), *string.ascii_lowercase]
    for parent in (tree, *nodes[ast.ClassDef]):
        for function in parent.body:
            if isinstance(function, _FUNCTIONS) and not function.decorator_list and positional(function):
                inner = nodes_of(function)
                short = _short_parameters(function, inner, kept, names)
                used = [(node, node.id) for node in inner[ast.Name]] + [(node, node.arg) for node in inner[ast.arg]]
                yield from ((node.lineno, node.col_offset, name, short[name]) for node, name in used if name in short)


def _short_parameters(function, nodes, kept, names):
    """Return {parameter: new name} of one function; parameters in `kept` stay, because their names stay in the file."""
    others = [node.arg for node in nodes[ast.arg]]  # names that are bound otherwise than by an assignment
    others += [name for node in nodes[ast.Global] + nodes[ast.Nonlocal] for name in node.names]
    others += [node.name for node in nodes[ast.ExceptHandler]] + [node.asname or node.name for node in nodes[ast.alias]]
    used = {*others, *(node.id for node in nodes[ast.Name])}
    free = (name for name in names if name not in used)
    once = [name for name in positional(function) if others.count(name) == 1 and name not in kept and len(name) > 1]
    return {name: next(free) for name in once}


def copy(lib, names, target):
    """Write copies of the files `names` of the folder `lib`, folded and with short names, to the folder `target`.

    A copy gets the modification time of the newest file that it is made from, so that make sees every change.
    """
    for name in names:
        source, result = Path(lib, name), Path(target, name)
        text, homes = _shortened(source.read_text(encoding="utf-8"), source, lib)
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(text, encoding="utf-8")
        tables = [path for path in (Path(lib, _SHORT_NAMES),) if path.exists()]
        newest = max(os.stat(path).st_mtime_ns for path in (source, *homes, *tables, __file__))
        os.utime(result, ns=(newest, newest))


def _shortened(text, path, lib):
    """Return (the text as from shortened(), the homes of what was folded)."""
    text, homes = _fold(text, path, lib, _parameters)
    return rename(text, short_names(lib)), homes


def _fold(text, path, lib, renamed=lambda tree, nodes: ()):
    """Return (the folded text, the homes of what was folded); `renamed` yields what else is renamed, as _parameters() does."""
    tree = ast.parse(text, str(path))
    nodes = nodes_of(tree)
    folded = _Imports(nodes, Path(path), Path(lib) if lib else None).folded
    text = _replace(text, [*_uses(nodes, folded), *renamed(tree, nodes)])
    return _rewrite(text, folded, _needless(tree, nodes)), {home for _, _, _, home in folded}


@functools.lru_cache(None)
def _table(path, _modified):
    return json.loads(Path(path).read_text(encoding="utf-8"))


@functools.lru_cache(None)
def _home(path, _modified):
    text = Path(path).read_text(encoding="utf-8")
    if not _CONSTANT.search(text):
        return {}, False
    lines = _lines(text)
    found = {}
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
            found[name] = _source(lines, value)
    return found, only and bool(found)


def _source(lines, node):
    """Return the source of a node in the lines of a file."""
    rows = [line.encode() for line in lines[node.lineno - 1 : node.end_lineno]]
    rows[-1] = rows[-1][: node.end_col_offset]
    rows[0] = rows[0][node.col_offset :]
    return b"".join(rows).decode()


def _literal(node, known=()):
    """Return the argument of a call const(literal), or None for other nodes. Names in `known` count as literals."""
    if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "const" and len(node.args) == 1 and not node.keywords):
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

    def __init__(self, nodes, path, lib):
        self.path, self.lib = path, lib
        self.folded = []
        found = []
        taken = _bound(nodes)  # names with another meaning somewhere in the file
        for node in nodes[ast.Import]:
            for alias in node.names:
                self._refuse_whole(node, self._file(alias.name, 0))
        for node in nodes[ast.ImportFrom]:
            home = self._file(node.module, node.level)
            offered = constants(home) if home else {}
            for alias in node.names:
                self._refuse_whole(node, home if alias.name == "*" else self._submodule(node, alias.name))
                if alias.name in offered:
                    found.append((node, alias, offered[alias.name], home))
                else:
                    taken[alias.asname or alias.name] = node.lineno
        formatted, present = _formatted(nodes), {**taken, **{node.id: node.lineno for node in nodes[ast.Name]}}
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


def _bound(nodes):
    """Return {name: line} of all names that a file binds otherwise than by `from ... import`."""
    found = {node.id: node.lineno for node in nodes[ast.Name] if not isinstance(node.ctx, ast.Load)}
    found.update((node.arg, node.lineno) for node in nodes[ast.arg])
    found.update((alias.asname or alias.name.split(".")[0], node.lineno) for node in nodes[ast.Import] for alias in node.names)
    found.update((name, node.lineno) for node in nodes[ast.Global] + nodes[ast.Nonlocal] for name in node.names)
    for named in (*_FUNCTIONS, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar):
        found.update((node.name, node.lineno) for node in nodes[named] if node.name)
    found.update((node.rest, node.lineno) for node in nodes[ast.MatchMapping] if node.rest)
    return found


def _formatted(nodes):
    """Return {name: line} of the names in f-strings. Before Python 3.12 their positions are unknown."""
    return {inner.id: text.lineno for text in nodes[ast.JoinedStr] for inner in nodes_of(text)[ast.Name]}


def _needless(tree, nodes):
    """Return [(import statement, alias)] of `const` if the compiler folds every call of it, and [] if not."""
    folded, known = set(), set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and _literal(node.value, known):
            folded.add(node.value.func)
            known.add(node.targets[0].id)
    used = {node for node in nodes[ast.Name] if node.id == "const"}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in ("micropython", "_compat")]
    return [(node, alias) for node in imports for alias in node.names if alias.name == "const" and used == folded]


def _uses(nodes, folded):
    """Return [(row, column in bytes, name, new name)] of each use of a folded constant as a variable."""
    renamed = {alias.asname or alias.name: _private(alias) for _, alias, _, _ in folded}
    return [(node.lineno, node.col_offset, node.id, renamed[node.id]) for node in nodes[ast.Name] if node.id in renamed]


def _rewrite(text, folded, needless):
    lines = _lines(text)
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
    """Return a text with names replaced; `places` lists (row, column in bytes, old name, new name)."""
    lines = _lines(text)
    for row, column, old, new in sorted(places, reverse=True):
        line = lines[row - 1].encode()
        lines[row - 1] = (line[:column] + new.encode() + line[column + len(old.encode()) :]).decode()
    return "".join(lines)


def _lines(text):
    """Return the lines of a text as the parser counts them."""
    return io.StringIO(text).readlines()
