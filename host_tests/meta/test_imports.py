# SPDX-FileCopyrightText: 2026 The dice authors
# SPDX-License-Identifier: MIT
"""A folder is a layer: a module imports only from its own folder and those below. Few modules may import external packages."""

import ast
import re
from pathlib import Path

import pytest

from tools import import_graph
from tools.generate import LIBRARY_BELOW, TOOLS_BELOW

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = import_graph.library()
TOOLS = import_graph.tools()

# By external package: the only folders or modules of dice that may import it. A package that is not listed may not be imported.
ONLY = {
    "_dice": {"crypto"},
    "asyncio": {"aio"},
    "binascii": {"dice.store_rtc"},
    "collections": {"dice.dtls.session_index"},
    "cryptography": {"crypto"},
    "cryptolib": {"crypto"},
    "esp32": {"dice.store_nvs"},
    "errno": {"transport"},
    "fcntl": {"dice._posix"},
    "hashlib": {"crypto"},
    "heapq": {"dice.dtls.session_index", "dice.group.presence"},
    "importlib": {"dice._posix"},
    "machine": {"dice.store_rtc"},
    "micropython": {"dice._compat", "crypto"},
    "json": {"dice.aio.contact"},  # node.json
    "os": {"dice._posix", "dice.store", "dice.store_nvs", "aio"},
    "select": {"transport"},
    "socket": {"transport"},
    "struct": {"dice.record", "dtls", "group"},
    "sys": {"dice._compat", "dice._posix", "dice.stores", "transport", "crypto"},
    "time": {"dice._compat", "dice.aio.wait"},
    "weakref": {"dice._posix"},
}


def wrong_way(package, below):
    """Return (module, imported module) of each import that does not run downward."""
    return [
        (module, imported)
        for module in package.paths
        for imported in sorted(package.own(module))
        if package.folder(imported) not in below[package.folder(module)] | {package.folder(module)}
    ]


def test_the_library_imports_downward():
    assert wrong_way(LIBRARY, LIBRARY_BELOW) == []


def test_the_command_imports_downward():
    assert wrong_way(TOOLS, TOOLS_BELOW) == []


def test_every_folder_has_a_layer():
    assert {LIBRARY.folder(module) for module in LIBRARY.paths} == set(LIBRARY_BELOW)
    assert {TOOLS.folder(module) for module in TOOLS.paths} == set(TOOLS_BELOW)


@pytest.mark.parametrize("below", [LIBRARY_BELOW, TOOLS_BELOW], ids=["dice", "dicectl"])
def test_layers_are_ordered(below):
    """No two folders import each other."""
    order = list(below)
    for folder, allowed in below.items():
        for other in allowed:
            assert order.index(other) < order.index(folder), (folder, other)


@pytest.mark.parametrize("package", [LIBRARY, TOOLS], ids=["dice", "dicectl"])
def test_no_import_cycle_exists(package):
    done = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for imported in package.own(module):
                visit(imported, [*path, module])
            done.add(module)

    for module in package.paths:
        visit(module, [])


def test_external_packages_are_imported_only_by_the_listed_modules():
    for module in LIBRARY.paths:
        for name in LIBRARY.foreign(module) - {"dice"}:
            assert {module, LIBRARY.folder(module)} & ONLY.get(name, set()), f"{module} imports {name}"


def test_commands_are_imported_by_their_name_alone():
    importers = {module for module in TOOLS.paths if any(name.startswith("dicectl.cli") for name in TOOLS.own(module))}
    assert [module for module in importers if not module.startswith("dicectl.cli")] == []


# Modules that some systems or installations lack, and the only modules of dicectl that may import them.
ONLY_TOOLS = {
    "fcntl": {"dicectl.system", "dicectl.net.links", "dicectl.net.namespace"},
    "msvcrt": {"dicectl.system"},
    "sqlite3": {f"dicectl.manager.registry.{name}" for name in ("backup", "database_copy", "sqlite")},
}


def test_modules_that_may_be_missing_are_imported_only_by_the_listed_modules():
    for module in TOOLS.paths:
        for name in TOOLS.foreign(module) & set(ONLY_TOOLS):
            assert module in ONLY_TOOLS[name], f"{module} imports {name}"


# The modules of MicroPython that belong to a board, and the only folders whose files may import them.
BOARD_MODULES = {"esp32", "machine", "network", "rp2"}
BOARD_FOLDERS = ("firmware/", "tools/dicectl/on_device/", "lib/dice/store_")


def board_imports(text):
    """Return the modules of a board that a file imports. Only a file with such a line is parsed."""
    found = set()
    if not re.search(rf"\b(?:import|from)\b.*\b(?:{'|'.join(BOARD_MODULES)})\b", text):
        return found
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found & BOARD_MODULES


def test_modules_of_a_board_are_imported_only_by_what_runs_on_one():
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for folder in ("lib/dice", "tools", "firmware", "host_tests")
        for path in (ROOT / folder).rglob("*.py")
    }
    importers = {path for path, text in texts.items() if board_imports(text)}
    assert importers
    assert {path for path in importers if not path.startswith(BOARD_FOLDERS)} == set()


def test_an_import_of_a_module_of_a_board_is_found():
    assert board_imports("def f():\n    from machine import Pin\n") == {"machine"}
    assert board_imports("import os, network as n\n") == {"network"}
    assert board_imports("from . import machine\nfrom .network import a\nimport machinery\n") == set()


def test_the_library_imports_its_own_modules_relatively():
    """Each importing module stores the name of the imported one; a relative name saves 5 to 11 bytes of .mpy."""
    for path in LIBRARY.paths.values():
        for node in ast.walk(ast.parse(path.read_text())):
            absolute = isinstance(node, ast.ImportFrom) and not node.level and node.module.split(".")[0] == "dice"
            assert not absolute, f"{path}: {ast.unparse(node)}"


def private_names(text):
    """Yield the private names that a file takes from dice: private modules, and private names of any module."""
    modules = set()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "dice"]
            modules.update(name.split(".")[0] for name in names)
            yield from (name for name in names if re.search(r"\._(?!_)", name))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "dice":
            for alias in node.names:
                modules.add(alias.asname or alias.name)
                if re.search(r"\._(?!_)", f"{node.module}.{alias.name}"):
                    yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in modules:
                yield ast.unparse(node)


def test_the_command_uses_no_private_name_of_the_library():
    for module, path in TOOLS.paths.items():
        if TOOLS.folder(module) != "on_device":
            assert list(private_names(path.read_text())) == [], module


def test_private_names_are_found():
    assert list(private_names("from dice._compat import sync\n")) == ["dice._compat.sync"]
    assert list(private_names("import dice\ndice.store._x = 1\n")) == ["dice.store._x"]
    assert list(private_names("from dice import store\nstore.sync(store.a)\nself._x = store\n")) == []


CHOOSING = (("dice.crypto.ccm", {"dice.crypto.host"}), ("dice.crypto.native", {"dice.crypto.ccm_ctr"}))
# Records in C: seal() and open(), and Member.receive.
CHOOSING += tuple((module, {"dice.crypto.native"}) for module in ("dice.dtls.record_layer", "dice.group.native"))


def test_crypto_back_ends_are_chosen_only_in_the_package_crypto():
    for module in LIBRARY.paths:
        chosen = LIBRARY.own(module) & {f"dice.crypto.{name}" for name in ("host", "native", "ccm", "ccm_viper", "ccm_ctr")}
        assert not chosen or module == "dice.crypto" or (module, chosen) in CHOOSING
        chosen = LIBRARY.own(module) & {"dice.crypto.p256", "dice.crypto.host_p256"}
        assert not chosen or module == "dice.crypto.curve"
        chosen = LIBRARY.own(module) & {"dice.crypto.p256_plain", "dice.crypto.p256_viper"}
        assert not chosen or module == "dice.crypto.p256"


# The functions that may be called at import time. They compute constants and have no side effect.
PURE = {
    "aes",
    "ImportError",
    "RuntimeError",
    "const",
    "bytes",
    "bytearray",
    "len",
    "range",
    "tuple",
    "frozenset",
    "int.from_bytes",
    "struct.calcsize",
    "hasattr",
}


def starts(body):
    """Yield the lines of code that run when a module is imported, except definitions and pure calls."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            run = [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)]
        elif isinstance(node, ast.ClassDef):
            run = [*node.decorator_list, *node.bases]
            yield from starts(node.body)
        elif isinstance(node, ast.If):
            run = [node.test]
            yield from starts(node.body + node.orelse)
        elif isinstance(node, ast.Try):
            run = []
            yield from starts(
                node.body + node.orelse + node.finalbody + [line for handler in node.handlers for line in handler.body]
            )
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Import | ast.ImportFrom | ast.Pass | ast.Raise):
            run = [node]
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            run = []  # a docstring
        else:
            yield node.lineno
            continue
        calls = [call for part in run for call in ast.walk(part) if isinstance(call, ast.Call)]
        yield from (call.lineno for call in calls if ast.unparse(call.func) not in PURE)


def test_no_code_runs_at_import_time():
    """The top level of a module only defines, also within `if`, `try` and classes."""
    for module, path in LIBRARY.paths.items():
        assert list(starts(ast.parse(path.read_text()).body)) == [], module


@pytest.mark.parametrize(
    "text",
    [
        "print()",
        "x = open('f')",
        "x = [socket.socket()]",
        "x: int = time()",
        "if a:\n    run()",
        "if a():\n    pass",
        "if a:\n    pass\nelse:\n    x = run()",
        "try:\n    import a\nexcept ImportError:\n    a = run()",
        "try:\n    import a\nfinally:\n    run()",
        "class A:\n    x = run()",
        "class A(make()):\n    pass",
        "def f(x=run()):\n    pass",
        "@register(1)\ndef f():\n    pass",
        "for x in y:\n    pass",
        "while True:\n    pass",
        "with x:\n    pass",
        "x += 1",
        "del x",
        "assert x",
    ],
)
def test_code_that_runs_at_import_time_is_found(text):
    assert list(starts(ast.parse(text).body)), text


# The only modules that read a clock or draw random numbers. All others get both as arguments.
CLOCKS = {"dice.aio.wait", "dice.aio._cpython"}
CHANCES = {
    "dice.aio.service",
    "dice.aio.session",
    "dice.aio.contact",
    "dice.aio.coap",
    "dice.aio.group_coap",
    "dice.aio.managed",
    "dice.aio.slip_host",
}


def names_in(path):
    """Return all names, attributes and imported names of a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        found.update(getattr(node, field) for field in ("attr", "id", "name") if isinstance(getattr(node, field, None), str))
    return found


def test_clocks_and_random_sources_are_used_only_by_the_listed_modules():
    for module, path in LIBRARY.paths.items():
        assert module in CLOCKS or not names_in(path) & {"ticks_ms", "monotonic", "monotonic_ns", "time"}, module
        random = {"urandom", "getrandom", "rng", "randint", "randbytes", "getrandbits"}
        assert module in CHANCES or not names_in(path) & random, module


def test_no_docstring_has_a_row_number():
    """Layers used to be numbered rows. Now a folder is a layer."""
    wrong = [
        f"{module}:{node.lineno}"
        for module, path in LIBRARY.paths.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.search(r"\(row\s+\d", node.value)
    ]
    assert not wrong
