# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""Changes the library in one place at a time and prints the changes that no test notices: `make mutants`.

python tools/mutants.py [--seconds N] [--seed N] [--list] [FOLDER | FILE | FILE:LINE ...]

First all tests of TESTS run once, traced, so that it is known which of them reach a line. Then, for each change, a forked process
runs those that reach it, the fastest first, until one fails. A change that survives shows a missing test, or changes nothing that
matters ("equivalent"). With --seconds, a random choice of the changes is tried for so much CPU time; --seed chooses another one.
"""

import argparse
import ast
import copy
import importlib.machinery
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIB = ROOT / "lib"
MUTATED = ("lib/dice/dtls", "lib/dice/group")
TESTS = (
    "host_tests/portable",
    "host_tests/unit/test_kdc.py",
    "host_tests/unit/test_manager_service.py",
    "host_tests/properties/test_codecs_and_groups.py",
    "host_tests/unit/test_protocol_vectors.py",
)
_TEST_MAX_S = 2.0  # slower tests are left out
_TESTS_MAX_S = 8.0  # for one mutant
_CPU_MAX_S = 20  # a mutant that computes for longer is noticed
_ALL_MAX_S = 600  # for all tests, traced
_OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:randomly"]

_PAIRS = (
    (ast.Lt, ast.LtE),
    (ast.Gt, ast.GtE),
    (ast.Eq, ast.NotEq),
    (ast.Is, ast.IsNot),
    (ast.In, ast.NotIn),
    (ast.And, ast.Or),
    (ast.Add, ast.Sub),
    (ast.LShift, ast.RShift),
    (ast.BitAnd, ast.BitOr),
    (ast.Mult, ast.FloorDiv),
)
_SWAPS = {**dict(_PAIRS), **{new: old for old, new in _PAIRS}, ast.BitXor: ast.BitOr, ast.Mod: ast.Mult}
_DELETED = (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)


class Mutant:
    """One change: in `parent`, the node at (field, index) becomes `new`."""

    def __init__(self, path, statement, place, new):
        self.path, self.statement, self.place, self.new = path, statement, place, new
        self.line = getattr(self.old, "lineno", statement.lineno)

    @property
    def old(self):
        parent, field, index = self.place
        value = getattr(parent, field)
        return value if index is None else value[index]

    def apply(self):
        """Change the tree, for good."""
        parent, field, index = self.place
        new = ast.copy_location(self.new, self.old)
        if index is None:
            setattr(parent, field, new)
        else:
            getattr(parent, field)[index] = new

    def __str__(self):
        place = f"{self.path.relative_to(ROOT)}:{self.line}"
        return f"{place}: {ast.unparse(self.old)}  ->  {ast.unparse(self.new)}".replace("\n", " ")


def replacements(node):
    """Yield what a node is replaced with."""
    if isinstance(node, ast.Compare | ast.BoolOp | ast.BinOp | ast.AugAssign):
        many = isinstance(node, ast.Compare)
        swapped = _SWAPS.get(type(node.ops[0] if many else node.op))
        if swapped:
            new = copy.copy(node)
            if many:
                new.ops = [swapped(), *node.ops[1:]]
            else:
                new.op = swapped()
            yield new
    if isinstance(node, ast.BoolOp):
        for dropped in node.values:
            left = [value for value in node.values if value is not dropped]
            yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    if isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)
    if isinstance(node, ast.If | ast.While):
        for value in (True, False) if isinstance(node, ast.If) else (False,):
            new = copy.copy(node)
            new.test = ast.copy_location(ast.Constant(value), node.test)
            yield new
    if isinstance(node, ast.Return) and node.value and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.copy_location(ast.Constant(None), node.value))
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    attribute = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    if attribute or (isinstance(node, _DELETED) and not docstring):
        yield ast.Pass()


def mutants(path, tree):
    """Return all Mutants of a module, whose tree they share."""
    found = []

    def visit(parent, statement):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list"):
                continue
            nodes = enumerate(value) if isinstance(value, list) else [(None, value)]
            for index, node in nodes:
                if isinstance(node, ast.AST):
                    inner = node if isinstance(node, ast.stmt) else statement
                    found.extend(Mutant(path, inner or node, (parent, field, index), new) for new in replacements(node))
                    visit(node, inner)

    visit(tree, None)
    return found


class Reach:
    """A pytest plugin that notes the lines that each test reaches, and how long it takes."""

    def __init__(self, paths):
        self.lines = {}  # {nodeid: (seconds, {(file name, line)})}
        self._names = {str(path) for path in paths}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        seen = set()

        def trace(frame, event, _):
            if frame.f_code.co_filename not in self._names:
                return None
            seen.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        start = time.process_time()
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(None)
        self.lines[item.nodeid] = time.process_time() - start, seen
        return None


def in_child(function, cpu_max_s):
    """Run a function in a forked process without output; return its exit status, or minus the signal that ended it."""
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_max_s, cpu_max_s))
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        status = 3
        try:
            status = function()
        finally:
            os._exit(int(status))
    end = time.monotonic() + 10 * cpu_max_s  # for one that waits
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def reached(paths):
    """Run all tests once; return Reach.lines."""
    with tempfile.NamedTemporaryFile() as file:

        def run():
            plugin = Reach(paths)
            status = pytest.main([*_OPTIONS, *TESTS], plugins=[plugin])
            Path(file.name).write_bytes(pickle.dumps(plugin.lines))
            return status

        if status := in_child(run, _ALL_MAX_S):
            sys.exit(f"the tests fail, or take too long, without a change: status {status}")
        return pickle.loads(Path(file.name).read_bytes())


def chosen(mutant, lines, inside):
    """Return the tests to run for a mutant, the fastest first; one at import time concerns all tests of its module."""
    name, statement = str(mutant.path), mutant.statement
    wanted = {(name, line) for line in range(statement.lineno, statement.end_lineno + 1)}
    found = []
    for test, (seconds, seen) in lines.items():
        if seconds < _TEST_MAX_S and (seen & wanted if id(statement) in inside else any(file == name for file, _ in seen)):
            found.append((seconds, test))
    left = _TESTS_MAX_S
    tests = []
    for seconds, test in sorted(found):
        left -= seconds
        if left > 0:
            tests.append(test)
    return tests


class Changed(importlib.machinery.SourceFileLoader):
    """Loads one module from a tree."""

    tree = None

    def get_code(self, fullname):
        return compile(ast.fix_missing_locations(self.tree), self.path, "exec")


def survives(mutant, tree, tests):
    """Tell whether no test notices a mutant."""
    name = ".".join(mutant.path.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__")

    class Finder:
        @staticmethod
        def find_spec(fullname, path=None, target=None):
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if fullname == name else None
            if spec:
                spec.loader = Changed(fullname, spec.origin)
            return spec

    def run():
        mutant.apply()
        Changed.tree = tree
        sys.meta_path.insert(0, Finder)
        return pytest.main([*_OPTIONS, *tests])

    return in_child(run, _CPU_MAX_S) == 0


def inner_statements(tree):
    """Return the ids of all statements that run when a function is called."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {id(node) for function in functions for line in function.body for node in ast.walk(line)}


def used():
    """Return the seconds of CPU time that the tests have taken."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", default=MUTATED, help="a folder, a file or FILE:LINE")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the changes, and try none")
    options = parser.parse_args()
    os.chdir(ROOT)
    trees, found = {}, []
    for argument in options.paths:
        name, _, line = argument.partition(":")
        for path in [Path(name)] if name.endswith(".py") else sorted(Path(name).rglob("*.py")):
            path = path.resolve()
            trees[path] = trees.get(path) or ast.parse(path.read_text())
            found += [mutant for mutant in mutants(path, trees[path]) if not line or mutant.line == int(line)]
    if options.list:
        print("\n".join(map(str, found)))
        return
    random.Random(options.seed).shuffle(found)
    lines = reached(trees)
    inside = set().union(*map(inner_statements, trees.values()))
    tried = survivors = 0
    end = used() + options.seconds
    for mutant in found:
        if used() > end:
            break
        tried += 1
        tests = chosen(mutant, lines, inside)
        if not tests or survives(mutant, trees[mutant.path], tests):
            survivors += 1
            print(mutant, "" if tests else "  (no test gets there)", flush=True)
    print(f"{len(found)} mutants, {tried} tried, {survivors} survived")


if __name__ == "__main__":
    main()
