# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""No file has more than 400 lines, and no function of the library, the command or the firmware more than 40 lines of code."""

import ast
import io
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES = 400
FUNCTION_LINES = 40
NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}

# The longer functions, and why they are not divided.
LONG_FUNCTIONS = {
    "lib/dice/crypto/ccm_ctr.py:crypt": "As ccm_viper:crypt.",
    "lib/dice/crypto/ccm_viper.py:crypt": "Each viper function costs 150 bytes before its first statement.",
    "lib/dice/crypto/p256_viper.py:run": "A loop instead of its 16 repeated steps would take twice the time.",
    "lib/dice/group/gsa.py:decode": "The checks at its end compare nearly all of the fields that it reads.",
    "lib/dice/group/member.py:Member.receive": "A call takes 28 us on a board, and this function runs once per record.",
}
# The longer files, and why they are not divided.
LONG_FILES = {
    "lib/dice/dtls/session.py": "One state machine; its imports have 60 lines.",
    "host_tests/net/test_manager_command.py": "All its scenarios share the class ManagedSite, which starts the processes.",
    "host_tests/portable/test_aio_group.py": "All cases of dice.join, with one pair of helpers.",
    "host_tests/portable/test_session.py": "All cases of a session, from the first hello to the last alert.",
}


def files(*folders):
    """Return {path from the root: text} of the Python files in some folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def functions(node, prefix=""):
    """Yield (qualified name, node) of each function in a tree, also of those in classes and in functions."""
    for child in ast.iter_child_nodes(node):
        name = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}."
            if not isinstance(child, ast.ClassDef):
                yield name[:-1], child
        yield from functions(child, name)


def lengths(text):
    """Return {qualified name: lines of code in the body} of each function; its docstring, comments and empty lines do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = {line for token in tokens if token.type not in NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    found = {}
    for name, function in functions(ast.parse(text)):
        body = function.body[ast.get_docstring(function) is not None :]
        inside = range(body[0].lineno, function.end_lineno + 1) if body else ()
        found[name] = len(code.intersection(inside))
    return found


def test_no_file_is_too_long():
    texts = files("lib/dice", "tools", "firmware", "host_tests")
    assert {path for path, text in texts.items() if len(text.splitlines()) > FILE_LINES} == set(LONG_FILES)


def test_no_function_is_too_long():
    texts = files("lib/dice", "tools", "firmware")
    found = {f"{path}:{name}": lines for path, text in texts.items() for name, lines in lengths(text).items()}
    assert len(found) > 1000
    assert {name for name, lines in found.items() if lines > FUNCTION_LINES} == set(LONG_FUNCTIONS)


def test_only_lines_of_code_in_the_body_are_counted():
    body = '        """Two\n        lines."""\n\n        # comment\n        a = (\n            1\n        )\n'
    assert lengths(f"class A:\n    def f(\n        self,\n    ):\n{body}") == {"A.f": 3}
    assert lengths("async def f():\n    def g():\n        pass\n\n    g()\n") == {"f": 3, "f.g": 1}
    assert lengths('def f():\n    """Only a docstring."""\n') == {"f": 0}
